"""What can go wrong with an archive.

TollbookError
└── ArchiveError         the archive can not be used as asked; the message says why
    ├── ArchiveBusy      another process writes it
    ├── ForeignArchive   it belongs to another deployment, or Kafka does not continue it
    └── BrokenArchive    a file is missing, altered, or contradicts its manifest
"""

from engine.rating.errors import TollbookError


class ArchiveError(TollbookError):
    """Root of what goes wrong with an archive."""


class ArchiveBusy(ArchiveError):
    """Another process writes this archive now."""


class ForeignArchive(ArchiveError):
    """The archive is not of this deployment."""


class BrokenArchive(ArchiveError):
    """A segment or manifest is not what it should be."""
