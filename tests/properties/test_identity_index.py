"""The identity index against a dictionary: whatever is done to it, it holds what was written."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.adapters.identities import RocksIdentityIndexes
from engine.ports import Stamp

IDENTITIES = st.integers(0, 15).map(lambda number: f"{number:032x}")
STANDING = st.sampled_from([b"", b"a", b"v", b'["login-1",[]]'])
DIGESTS = st.binary(min_size=32, max_size=32)
ALL = [f"{number:032x}" for number in range(16)]


class IndexAgainstDictionary(RuleBasedStateMachine):
    """One partition, opened again and again."""

    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        self.indexes = RocksIdentityIndexes(Path(self.folder.name))
        self.index = self.indexes.open(0)
        self.written: dict[str, tuple[bytes, bytes]] = {}
        self.added: dict[str, tuple[bytes, bytes]] = {}
        self.stamp = Stamp()
        self.commit = 0

    @rule(identity=IDENTITIES, digest=DIGESTS, standing=STANDING)
    def add(self, identity: str, digest: bytes, standing: bytes) -> None:
        self.index.add(identity, digest, standing)
        self.added[identity] = (digest, standing)

    @rule(digest=DIGESTS, offset=st.integers(-1, 2**40), step=st.integers(1, 3))
    def write(self, digest: bytes, offset: int, step: int) -> None:
        self.stamp = Stamp(self.stamp.commit + step, digest, offset)
        self.index.write(self.stamp)
        self.written.update(self.added)
        self.added = {}

    @rule()
    def close_without_writing_and_open_again(self) -> None:
        self.index.close()
        self.index = self.indexes.open(0)
        self.added, self.commit = {}, self.stamp.commit

    @rule()
    def clear(self) -> None:
        self.index.clear()
        self.written, self.added = {}, {}
        self.stamp, self.commit = Stamp(), 0

    @invariant()
    def it_holds_what_the_dictionary_holds(self) -> None:
        expected = {**self.written, **self.added}
        for name in ALL:
            digest, standing = expected.get(name, (None, b""))
            assert (self.index.get(name), self.index.standing(name)) == (digest, standing)
        assert (self.index.stamp, self.index.commit) == (self.stamp, self.commit)
        assert self.index.unwritten == len(self.added)

    def teardown(self) -> None:
        self.index.close()
        self.folder.cleanup()


TestIndexAgainstDictionary = IndexAgainstDictionary.TestCase
TestIndexAgainstDictionary.settings = settings(max_examples=25, stateful_step_count=20)
