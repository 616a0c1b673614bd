"""The root of shares: asking for them one at a time, and what is refused on the way."""

import pytest

from adyton import SecretStore
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import ConfigurationError, InvalidInput, RootLocked
from adyton.roots import ShamirRoot, open_root

CONTEXT = b"store 1, master key 1"


class Person:
    """Answers with texts in turn, and keeps the prompts."""

    def __init__(self, *texts):
        self.texts = list(texts)
        self.prompts = []

    def __call__(self, prompt):
        self.prompts.append(prompt)
        return SecretBytes(self.texts.pop(0).encode())


@pytest.fixture
def made():
    """A wrapped key and its shares, 3 of 5."""
    root, shares = ShamirRoot.create(3, 5)
    with SecretBytes(b"k" * 32) as key:
        return root.wrap(key, CONTEXT), shares


def test_shares_are_asked_for_one_at_a_time_and_wrong_ones_named(made):
    """Any three in any form and order; a wrong, foreign or repeated one costs only itself."""
    wrapped, shares = made
    foreign = ShamirRoot.create(3, 5)[1][0]
    person = Person(
        shares[4].text(), "nonsense", shares[4].hex(), foreign.text(), shares[0].hex(),
        shares[2].base64(), shares[1].text(),
    )  # fmt: skip
    root = open_root("shamir:3/5", ask=person)
    with root.unwrap(wrapped, CONTEXT) as key:
        assert key.equals(b"k" * 32)
    assert [prompt[-12:] for prompt in person.prompts] == [
        "Share 1 of 3", "Share 2 of 3", "Share 2 of 3", "Share 2 of 3", "Share 2 of 3",
        "Share 3 of 3",
    ]  # fmt: skip
    assert "not a share" in person.prompts[2]
    assert "share 5 has been entered already" in person.prompts[3]
    assert "another set" in person.prompts[4]
    assert len(person.texts) == 1
    assert root.describe() == {"kind": "shamir", "threshold": "3", "shares": "5"}
    with SecretBytes(b"x" * 32) as more:
        again = root.wrap(more, CONTEXT)
    root.unwrap(again, CONTEXT).wipe()


def test_it_gives_up_on_wrong_shares(made):
    """Ten wrong ones end it with RootLocked."""
    root = ShamirRoot(Person(*["nonsense"] * 11))
    with pytest.raises(RootLocked, match="not a share"):
        root.unwrap(made[0], CONTEXT)


def test_two_sets_are_offered_at_once(made):
    """Shares of either set open; choose() says whose wrapped key to open."""
    first, _ = made
    other, shares = ShamirRoot.create(2, 2)
    with SecretBytes(b"k" * 32) as key:
        second = other.wrap(key, CONTEXT)
    for order, index in (([first, second], 1), ([second, first], 0)):
        root = ShamirRoot(Person(shares[0].text(), shares[1].text()))
        assert root.choose(order) == index
        root.unwrap(second, CONTEXT).wipe()
        with pytest.raises(RootLocked):
            root.unwrap(first, CONTEXT)
        with pytest.raises(RootLocked):
            root.choose([first])


def test_without_shares_nothing_is_wrapped_or_opened(made):
    """A root that was given none, and has nobody to ask, is locked and says how to go on."""
    root = open_root("shamir:")
    for use in (lambda: root.unwrap(made[0], CONTEXT),
                lambda: root.wrap(SecretBytes(b"k" * 32), CONTEXT)):  # fmt: skip
        with pytest.raises(RootLocked, match="have not been entered") as caught:
            use()
        assert "adyton unseal" in caught.value.hint


@pytest.mark.parametrize("rest", ["3", "3/5/7", "a/b", "-1/2", "3 / 5", "ads1-aeka", "1000/1000"])
def test_other_texts_in_the_uri_are_refused_and_not_shown(rest):
    """They may be a share in the wrong place."""
    with pytest.raises(ConfigurationError) as caught:
        open_root(f"shamir:{rest}")
    assert rest not in str(caught.value) or len(rest) < 5


@pytest.mark.parametrize("rest", ["3/2", "0/0", "1/5", "2/256"])
def test_numbers_that_make_no_sense_are_refused(rest):
    """More needed than there are, none, one of several, too many."""
    with pytest.raises(InvalidInput):
        open_root(f"shamir:{rest}")


def test_a_new_root_is_not_made_where_nobody_is_told_the_shares():
    """open_root() with create refuses, and says what makes one."""
    with pytest.raises(ConfigurationError, match="handed out") as caught:
        open_root("shamir:3/5", create=True)
    assert "ShamirRoot.create" in caught.value.hint


def test_a_store_of_the_library_opens_by_shares(tmp_path):
    """Made with the root as an object; opened by asking; the shares decide, not the numbers."""
    path = tmp_path / "store.db"
    root, shares = ShamirRoot.create(2, 3)
    with SecretStore.open(str(path), root=root, create=True) as store:
        store.set_secret("u", "a", "value")
    texts = [share.text() for share in shares]
    for uri, given in (("shamir:", texts[:2]), ("shamir:4/9", texts[1:])):
        with SecretStore.open(str(path), root=open_root(uri, ask=Person(*given))) as store:
            assert store.get_secret("u", "a").text() == "value"
            assert store.health().root == {"kind": "shamir", "threshold": "2", "shares": "3"}
    other = ShamirRoot.create(2, 3)[0]
    with pytest.raises(RootLocked):
        SecretStore.open(str(path), root=other)
    with pytest.raises(RootLocked, match="have not been entered"):
        SecretStore.open(str(path), root="shamir:")
