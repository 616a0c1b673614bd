"""The vectors in ``vectors/translog``: they are made as they were, and the package agrees."""

import hashlib
import json

import pytest

from adyton import translog
from adyton.errors import AuditError, InvalidDocument
from translog import generate_vectors, naive

NOTES = json.loads((generate_vectors.FOLDER / "notes.json").read_text())


def load(name):
    return json.loads((generate_vectors.FOLDER / name).read_text())


def unhex(texts):
    return [bytes.fromhex(text) for text in texts]


def test_regeneration_matches():
    """The generator writes the committed files again, byte for byte, and no others."""
    made = generate_vectors.files()
    kept = {path.name: path.read_text() for path in generate_vectors.FOLDER.iterdir()}
    assert kept == made


def test_merkle_vectors():
    """Roots, inclusion and consistency proofs are those of the vectors."""
    vectors = load("merkle.json")
    hashes = [translog.leaf_hash(one) for one in unhex(vectors["leaves"])]
    roots = unhex(vectors["roots"])

    def read(level, index):
        return naive.mth(hashes[index << level : (index + 1) << level])

    assert [translog.root(size, read) for size in range(len(roots))] == roots
    for case in vectors["inclusion"]:
        index, size, proof = case["index"], case["size"], unhex(case["proof"])
        assert translog.inclusion_proof(index, size, read) == proof
        translog.verify_inclusion(hashes[index], index, size, proof, roots[size])
    for case in vectors["consistency"]:
        old, new, proof = case["old"], case["new"], unhex(case["proof"])
        assert translog.consistency_proof(old, new, read) == proof
        translog.verify_consistency(old, roots[old], new, roots[new], proof)
    assert (len(vectors["inclusion"]), len(vectors["consistency"])) == (105, 120)


def no_tile(level, index):
    pytest.fail(f"tile {level}/{index} was read, though the hash is in the edge")


def test_tile_vectors():
    """Trees of the vectors have their roots and their tiles, full and partial."""
    vectors = load("tiles.json")
    builder, full = translog.TileBuilder(), {}
    for case in vectors["trees"]:
        for at in range(builder.size, case["size"]):
            builder.append(translog.leaf_hash(at.to_bytes(8, "big")))
        full |= {(level, index): tile for level, index, tile in builder.take_full()}
        assert builder.root().hex() == case["root"]
        tiles = dict(full)
        for level in range(8):  # partial tiles: hash by hash, from the edge
            count = case["size"] >> 8 * level
            if count % 256:
                tiles[level, count // 256] = b"".join(
                    builder.hash_at(8 * level, at, no_tile)
                    for at in range(count - count % 256, count)
                )
        joined = b"".join(tiles[place] for place in sorted(tiles))
        assert (len(tiles), hashlib.sha256(joined).hexdigest()) == (case["tiles"], case["sha256"])


def test_path_and_bundle_vectors():
    """Paths and the bundle are written and read as in the vectors."""
    vectors = load("tiles.json")
    for path, (level, index, width) in vectors["paths"].items():
        assert translog.parse_tile_path(path) == (level, index, width)
    entries = unhex(vectors["bundle"]["entries"])
    data = bytes.fromhex(vectors["bundle"]["bytes"])
    assert translog.encode_bundle(entries) == data
    assert translog.decode_bundle(data, len(entries)) == entries


@pytest.mark.parametrize("case", NOTES["checkpoints"], ids=lambda case: case["name"])
def test_checkpoint_vectors(case):
    """Each signed checkpoint of the vectors is valid, malformed or a lie, as it says."""
    verifier = translog.NoteVerifier.parse(NOTES["vkey"])
    if case["expect"] == "valid":
        found = translog.verify_checkpoint(case["note"], [verifier])
        assert found == (NOTES["origin"], case["size"], bytes.fromhex(case["root"]))
    else:
        wanted = {"lies": AuditError, "malformed": InvalidDocument}[case["expect"]]
        with pytest.raises(wanted):
            translog.verify_checkpoint(case["note"], [verifier])


def test_signing_makes_the_vectors():
    """Signing with the vectors' seed makes their first checkpoint, and the origin is theirs."""
    signer = translog.NoteSigner(NOTES["origin"], bytes.fromhex(NOTES["seed"]))
    case = NOTES["checkpoints"][0]
    checkpoint = translog.Checkpoint(signer.name, case["size"], bytes.fromhex(case["root"]))
    assert translog.sign_checkpoint(checkpoint, [signer]).decode() == case["note"]
    assert translog.origin_of(generate_vectors.STORE, 0) == NOTES["origin"]
    assert signer.verifier.vkey() == NOTES["vkey"]


def test_proof_vector():
    """The proof of the vectors holds under its key and gives its body."""
    vector = load("proof.json")
    found = translog.check_proof(json.dumps(vector["document"]).encode(), vkey=vector["vkey"])
    assert (found.body.hex(), found.checkpoint.size) == (vector["body"], vector["size"])


def test_public_names():
    """The package offers these names and no others."""
    assert sorted(translog.__all__) == [
        "AuditProof", "Checkpoint", "EMPTY_ROOT", "NoteSigner", "NoteVerifier", "TileBuilder",
        "check_proof", "consistency_proof", "decode_bundle", "encode_bundle", "entries_path",
        "inclusion_proof", "leaf_hash", "node_hash", "open_note", "origin_of", "parse_note",
        "parse_tile_path", "root", "sign_checkpoint", "tile_path", "verify_checkpoint",
        "verify_consistency", "verify_inclusion", "write_proof",
    ]  # fmt: skip
    assert all(hasattr(translog, name) for name in translog.__all__)
