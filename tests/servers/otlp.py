"""OpenTelemetry's own client.

otlp.py log grpc|http ENDPOINT COUNT   numbered lines and one exception, by Python's logging and OpenTelemetry's SDK
otlp.py call ENDPOINT METHOD BODY      one call of gRPC, BODY a file, compressed by gzip; prints its status as JSON
"""
import json
import logging
import sys


def log(protocol, endpoint, count):
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.resources import Resource

    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter

        exporter = OTLPLogExporter(endpoint=endpoint, insecure=True)
    else:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

        exporter = OTLPLogExporter(endpoint=f"{endpoint}/v1/logs")
    provider = LoggerProvider(Resource.create({"service.name": "shop", "k8s.pod.name": "shop-1", "team": "red"}))
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    logger = logging.getLogger("shop.checkout")
    logger.addHandler(LoggingHandler(logger_provider=provider))
    logger.propagate = False
    for number in range(int(count)):
        logger.error("payment %d refused", number, extra={"order": number})
    try:
        raise ValueError("no such currency")
    except ValueError:
        logger.exception("checkout failed")
    provider.shutdown()


def call(endpoint, method, body):
    import grpc

    with open(body, "rb") as file:
        request = file.read()
    with grpc.insecure_channel(endpoint) as channel:
        try:
            answer = channel.unary_unary(method)(request, timeout=30, compression=grpc.Compression.Gzip)
            print(json.dumps({"code": "OK", "answer": answer.hex()}))
        except grpc.RpcError as error:
            details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
            pause = b"google.rpc.RetryInfo" in details
            print(json.dumps({"code": error.code().name, "message": error.details(), "pause": pause}))


{"log": log, "call": call}[sys.argv[1]](*sys.argv[2:])
