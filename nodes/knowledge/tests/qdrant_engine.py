"""Qdrant's own engine behind gRPC, as far as the Qdrant store asks for it, where there is no server.

    pip install qdrant-client qdrant-edge-py
    python nodes/knowledge/tests/qdrant_engine.py 16334 &
    QDRANT_URL=http://127.0.0.1:16334 cargo nextest run -p liteagent-knowledge -E 'test(qdrant)'

Collections are shards of the engine that the server has, in a temporary folder; requests become calls, one at a time. What is not
asked for is an error. The engine's Python functions compare booleans as numbers, so flags are numbers inside.
"""

import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import qdrant_edge as edge
from qdrant_client import grpc as api
from qdrant_client.conversions.conversion import GrpcToRest, grpc_to_payload, payload_to_grpc
from qdrant_client.grpc import points_pb2, qdrant_common_pb2
from qdrant_client.http import models

VERSION = "1.20.0"
FLAGS = ("enabled", "deleted")
MODES = {0: edge.UpdateMode.Upsert, 1: edge.UpdateMode.InsertOnly, 2: edge.UpdateMode.UpdateOnly}
TYPES = {0: edge.PayloadSchemaType.Keyword, 1: edge.PayloadSchemaType.Integer, 2: edge.PayloadSchemaType.Float}
BOOL = 5
FOLDER = tempfile.TemporaryDirectory()


class Collection:
    def __init__(self, dimensions):
        self.indexes = set()
        self.shard = edge.EdgeShard.create(
            tempfile.mkdtemp(dir=FOLDER.name) + "/shard",
            edge.EdgeConfig(
                vectors={"meaning": edge.EdgeVectorParams(dimensions, edge.Distance.Dot)},
                sparse_vectors={"words": edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
                wal_enabled=False,
            ),
        )


collections = {}
lock = threading.RLock()


@contextmanager
def collection(request, context):
    with lock:
        if request.collection_name not in collections:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Collection `{request.collection_name}` doesn't exist!")
        yield collections[request.collection_name]


def with_numbers(payload):
    return {key: int(value) if key in FLAGS else value for key, value in payload.items()}


def condition(of):
    match of:
        case models.Filter():
            return all_of(of)
        case models.HasIdCondition():
            return edge.HasIdCondition({str(id) for id in of.has_id})
        case models.FieldCondition(match=models.MatchValue(value=value)):
            value = int(value) if isinstance(value, bool) else value
            return edge.FieldCondition(key=of.key, match=edge.MatchValue(value))
        case models.FieldCondition(match=models.MatchAny(any=values)):
            return edge.FieldCondition(key=of.key, match=edge.MatchAny(list(values)))
        case models.FieldCondition(match=None, range=models.Range() as to):
            bounds = edge.RangeFloat(gte=to.gte, gt=to.gt, lte=to.lte, lt=to.lt)
            return edge.FieldCondition(key=of.key, range=bounds)
    raise NotImplementedError(repr(of))


def all_of(of):
    def some(conditions):
        conditions = conditions if isinstance(conditions, list | None) else [conditions]
        return [condition(one) for one in conditions] if conditions else None

    return edge.Filter(must=some(of.must), should=some(of.should), must_not=some(of.must_not))


def where(message):
    return all_of(GrpcToRest.convert_filter(message))


def vector(message):
    if message.WhichOneof("vector") == "dense":
        return list(message.dense.data)
    return edge.SparseVector(list(message.sparse.indices), list(message.sparse.values))


def point(message):
    vectors = {name: vector(one) for name, one in message.vectors.vectors.vectors.items()}
    return edge.Point(message.id.uuid, vectors, with_numbers(grpc_to_payload(message.payload)))


def found(record, selector, names=(), **score):
    payload = {key: bool(value) if key in FLAGS else value for key, value in record.payload.items()}
    if selector.WhichOneof("selector_options") == "include":
        payload = {key: value for key, value in payload.items() if key in selector.include.fields}
    elif not selector.enable:
        payload = {}
    vectors = points_pb2.NamedVectorsOutput()
    for name in names:
        match record.vector.get(name):
            case edge.SparseVector() as words:
                vectors.vectors[name].sparse.indices.extend(words.indices)
                vectors.vectors[name].sparse.values.extend(words.values)
            case list() as numbers:
                vectors.vectors[name].dense.data.extend(numbers)
    kind = points_pb2.ScoredPoint if score else points_pb2.RetrievedPoint
    return kind(
        id=qdrant_common_pb2.PointId(uuid=str(record.id)),
        payload=payload_to_grpc(payload),
        vectors=points_pb2.VectorsOutput(vectors=vectors),
        **score,
    )


class Server(api.QdrantServicer):
    def HealthCheck(self, request, context):
        return api.HealthCheckReply(title="engine", version=VERSION)


class Collections(api.CollectionsServicer):
    def List(self, request, context):
        return api.ListCollectionsResponse()

    def CollectionExists(self, request, context):
        with lock:
            exists = request.collection_name in collections
        return api.CollectionExistsResponse(result=api.CollectionExists(exists=exists))

    def Create(self, request, context):
        meaning = request.vectors_config.params_map.map["meaning"]
        assert meaning.distance == 3 and request.sparse_vectors_config.map["words"].modifier == 1
        with lock:
            if request.collection_name in collections:
                context.abort(grpc.StatusCode.ALREADY_EXISTS, f"Collection `{request.collection_name}` already exists!")
            collections[request.collection_name] = Collection(meaning.size)
        return api.CollectionOperationResponse(result=True)

    def Delete(self, request, context):
        with lock:
            was_there = collections.pop(request.collection_name, None) is not None
        return api.CollectionOperationResponse(result=was_there)

    def Get(self, request, context):
        with collection(request, context) as there:
            schema = {field: api.PayloadSchemaInfo() for field in there.indexes}
        return api.GetCollectionInfoResponse(result=api.CollectionInfo(payload_schema=schema))


DONE = points_pb2.PointsOperationResponse(result=points_pb2.UpdateResult(operation_id=1, status=2))


class Points(api.PointsServicer):
    def CreateFieldIndex(self, request, context):
        kind = TYPES[1 if request.field_type == BOOL else request.field_type]
        with collection(request, context) as there:
            there.shard.update(edge.UpdateOperation.create_field_index(request.field_name, kind))
            there.indexes.add(request.field_name)
        return DONE

    def Upsert(self, request, context):
        assert request.wait
        points = [point(one) for one in request.points]
        with collection(request, context) as there:
            operation = edge.UpdateOperation.upsert_points(points, update_mode=MODES[request.update_mode])
            there.shard.update(operation)
        return DONE

    def Delete(self, request, context):
        assert request.wait
        with collection(request, context) as there:
            if request.points.WhichOneof("points_selector_one_of") == "filter":
                operation = edge.UpdateOperation.delete_points_by_filter(where(request.points.filter))
            else:
                ids = [id.uuid for id in request.points.points.ids]
                operation = edge.UpdateOperation.delete_points(ids)
            there.shard.update(operation)
        return DONE

    def UpdateBatch(self, request, context):
        assert request.wait
        for one in request.operations:
            match one.WhichOneof("operation"):
                case "set_payload":
                    payload = with_numbers(grpc_to_payload(one.set_payload.payload))
                    to = where(one.set_payload.points_selector.filter)
                    operation = edge.UpdateOperation.set_payload_by_filter(to, payload)
                case "delete_points":
                    operation = edge.UpdateOperation.delete_points_by_filter(where(one.delete_points.points.filter))
                case other:
                    raise NotImplementedError(other)
            # As on a server, others may come between.
            with collection(request, context) as there:
                there.shard.update(operation)
        return points_pb2.UpdateBatchResponse()

    def Get(self, request, context):
        with collection(request, context) as there:
            records = there.shard.retrieve([id.uuid for id in request.ids], with_payload=True, with_vector=False)
        return points_pb2.GetResponse(result=[found(record, request.with_payload) for record in records])

    def Scroll(self, request, context):
        more = {}
        if request.HasField("order_by"):
            more["order_by"] = edge.OrderBy(request.order_by.key)
        if request.HasField("offset"):
            more["offset"] = request.offset.uuid
        look = edge.ScrollRequest(limit=request.limit, filter=where(request.filter), with_payload=True, **more)
        with collection(request, context) as there:
            records, after = there.shard.scroll(look)
        reply = points_pb2.ScrollResponse(result=[found(record, request.with_payload) for record in records])
        if after is not None and "order_by" not in more:
            reply.next_page_offset.uuid = str(after)
        return reply

    def Count(self, request, context):
        with collection(request, context) as there:
            count = there.shard.count(edge.CountRequest(exact=True, filter=where(request.filter)))
        return points_pb2.CountResponse(result=points_pb2.CountResult(count=count))

    def QueryBatch(self, request, context):
        lists = []
        for query in request.query_points:
            nearest = query.query.nearest
            if nearest.WhichOneof("variant") == "dense":
                to = list(nearest.dense.data)
            else:
                to = edge.SparseVector(list(nearest.sparse.indices), list(nearest.sparse.values))
            names = list(query.with_vectors.include.names)
            look = edge.QueryRequest(
                limit=query.limit,
                query=edge.Query.Nearest(to, using=query.using),
                filter=where(query.filter),
                with_payload=True,
                with_vector=bool(names),
            )
            with collection(query, context) as there:
                points = there.shard.query(look)
            points = [found(one, query.with_payload, names, score=one.score) for one in points]
            lists.append(points_pb2.BatchResult(result=points))
        return points_pb2.QueryBatchResponse(result=lists)


server = grpc.server(ThreadPoolExecutor(8))
api.add_QdrantServicer_to_server(Server(), server)
api.add_CollectionsServicer_to_server(Collections(), server)
api.add_PointsServicer_to_server(Points(), server)
server.add_insecure_port(f"127.0.0.1:{sys.argv[1] if len(sys.argv) > 1 else 6334}")
server.start()
server.wait_for_termination()
