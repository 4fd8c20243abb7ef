# One image for every Tollbook process; compose.yaml says which one a container runs.
FROM python:3.11-slim

WORKDIR /opt/tollbook
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY engine engine
COPY replay replay
COPY schemas schemas
RUN pip install --no-cache-dir --constraint constraints.txt '.[engine,http]' \
    && useradd --create-home tollbook \
    && install --directory --owner=tollbook /var/lib/tollbook /var/lib/tollbook-archive

# Snapshots and indexes live here. They are caches: lost with the container, rebuilt by folding.
ENV TOLLBOOK_HOME=/var/lib/tollbook
USER tollbook
ENTRYPOINT ["tollbook"]
