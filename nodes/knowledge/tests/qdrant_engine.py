"""What the Qdrant store relies on, tried with Qdrant's own engine: `pip install qdrant-edge-py`, then run this file.

The engine is that of the server, without gRPC. Its Python functions take booleans for numbers, so flags are numbers here.
"""

import math
import tempfile
import uuid

from qdrant_edge import (
    CountRequest, Distance, EdgeConfig, EdgeShard, EdgeSparseVectorParams, EdgeVectorParams, FieldCondition, Filter,
    HasIdCondition, MatchAny, MatchValue, Modifier, OrderBy, PayloadSchemaType, Point, Query, QueryRequest, RangeFloat,
    ScrollRequest, SparseVector, UpdateMode, UpdateOperation,
)

shard = EdgeShard.create(
    tempfile.mkdtemp() + "/shard",
    EdgeConfig(
        vectors={"meaning": EdgeVectorParams(4, Distance.Dot)},
        sparse_vectors={"words": EdgeSparseVectorParams(modifier=Modifier.Idf)},
    ),
)
KEYWORD, INTEGER, FLOAT = PayloadSchemaType.Keyword, PayloadSchemaType.Integer, PayloadSchemaType.Float
INDEXES = {
    KEYWORD: ["kind", "document", "is"],
    INTEGER: ["revision", "settings", "position", "enabled", "deleted"],
    FLOAT: ["number.year"],
}
for kind, fields in INDEXES.items():
    for field in fields:
        shard.update(UpdateOperation.create_field_index(field, kind))


def one_of(key, values):
    return FieldCondition(key=key, match=MatchAny(values))


def equal(key, value):
    return FieldCondition(key=key, match=MatchValue(value))


def between(key, **bounds):
    return FieldCondition(key=key, range=RangeFloat(**bounds))


def put(points, mode=UpdateMode.Upsert):
    shard.update(UpdateOperation.upsert_points(points, update_mode=mode))


def change(payload, where):
    shard.update(UpdateOperation.set_payload_by_filter(where, payload))


def count(*must):
    return shard.count(CountRequest(exact=True, filter=Filter(must=list(must))))


HEAD = str(uuid.uuid4())
CHUNKS = [str(uuid.uuid4()) for _ in range(3)]


def head(revision):
    payload = {"kind": "head", "document": "d", "revision": revision, "settings": -1, "enabled": 1, "deleted": 1}
    return Point(HEAD, {}, payload)


def chunk(index, revision, words, near):
    payload = {
        "kind": "chunk", "document": "d", "revision": revision, "settings": 3, "position": index, "enabled": 1,
        "is": ["3 tag=sa"] if index == 0 else [], "number": {"year": 2020.0 + index},
    }
    vectors = {"meaning": [near, 0.0, 0.0, 0.0], "words": SparseVector(list(words), list(words.values()))}
    return Point(CHUNKS[index], vectors, payload)


def head_before(revision):
    by_it = Filter(must=[equal("deleted", 1), equal("revision", revision)])
    return Filter(must=[HasIdCondition({HEAD}), between("revision", lte=revision)], must_not=[by_it])


def known():
    payload = shard.retrieve([HEAD], with_payload=True, with_vector=False)[0].payload
    return payload["revision"], payload["deleted"]


# A head is written under conditions, and inserted where there is none.
put([head(-1)], UpdateMode.InsertOnly)
put([chunk(0, 5, {1: 1.0, 2: 0.5}, 1.0), chunk(1, 5, {1: 1.0}, 0.5), chunk(2, 4, {3: 1.0}, 0.2)])
change({"revision": 5, "deleted": 0}, head_before(5))
assert known() == (5, 0)
put([head(-1)], UpdateMode.InsertOnly)
assert known() == (5, 0), "what is inserted replaces nothing"
change({"revision": 4}, head_before(4))
assert known() == (5, 0), "older writes replace nothing"
change({"deleted": 1}, Filter(must=[HasIdCondition({HEAD}), between("revision", lte=5)]))
change({"deleted": 0}, head_before(5))
assert known() == (5, 1), "a write does not undo a deletion of its number"
change({"revision": 6, "deleted": 0}, head_before(6))
assert known() == (6, 0)

# Searches find chunks and no heads; a word is as rare as it is among chunks.
enabled = Filter(must=[equal("enabled", 1)])


def search(query, using):
    request = QueryRequest(limit=10, query=Query.Nearest(query, using=using), filter=enabled, with_payload=True)
    return [(point.payload["position"], point.score) for point in shard.query(request)]


assert [place for place, _ in search([1.0, 0.0, 0.0, 0.0], "meaning")] == [0, 1, 2]


def rarity(holding):
    return math.log(1 + (3 - holding + 0.5) / (holding + 0.5))


found = search(SparseVector([1, 2], [1.0, 1.0]), "words")
expected = [(0, rarity(2) + 0.5 * rarity(1)), (1, rarity(2))]
assert all(a[0] == b[0] and abs(a[1] - b[1]) < 1e-5 for a, b in zip(found, expected, strict=True)), (found, expected)

# Filters.
chunks = equal("kind", "chunk")
assert count(one_of("kind", [])) == 0
assert count(chunks, Filter(must_not=[one_of("is", ["3 tag=sa"])])) == 2
assert count(chunks, Filter(must_not=[one_of("is", [])])) == 3
assert count(chunks, Filter(should=[one_of("is", ["3 tag=sa"]), between("number.year", gte=2022)])) == 2
assert count(Filter(must=[chunks]), between("number.year", lt=2022)) == 2
page = Filter(must=[chunks, equal("document", "d"), equal("revision", 5), between("position", gt=0)])
points, _ = shard.scroll(ScrollRequest(limit=2, filter=page, order_by=OrderBy("position"), with_payload=True))
assert [point.payload["position"] for point in points] == [1]

# Chunks that were deleted are not edited; settings replace what was there as a whole.
shard.update(UpdateOperation.delete_points_by_filter(Filter(must=[chunks, between("revision", lte=4)])))
put([chunk(2, 4, {3: 1.0}, 0.2)], UpdateMode.UpdateOnly)
assert count(chunks) == 2
change({"number": {"other": 1.0}}, Filter(must=[chunks]))
assert count(between("number.year", gte=0)) == 0
print("as expected")
