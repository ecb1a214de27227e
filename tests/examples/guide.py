"""The Python programs of Pulsar's WebSocket guide: producer, consumer and reader on `websocket-client`.

guide.py ws://HOST:PORT   Exits with 1 and says what differs. The guide's programs run for ever; these stop after a message.
"""

import base64
import json
import sys
import time
import uuid

import websocket

SECONDS = 20
# What was acked must not come again; nothing says "nothing comes" but time.
SILENCE_SECONDS = 2


def connect(path, seconds=SECONDS, **options):
    return websocket.create_connection(sys.argv[1] + path, timeout=seconds, **options)


def connect_again(path):
    """The broker may still hold the exclusive subscription for the socket that has just closed (409)."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return connect(path, SILENCE_SECONDS)
        except websocket.WebSocketBadStatusException as refused:
            if refused.status_code != 409 or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def expect(what, got, wanted):
    if got != wanted:
        sys.exit("python: %s: %r instead of %r" % (what, got, wanted))


def receive(socket, ack):
    message = json.loads(socket.recv())
    if ack:
        socket.send(json.dumps({"messageId": message["messageId"]}))
    return message


def round_trip(base, topic):
    consumer = connect("%s/consumer/%s/my-sub" % (base, topic))
    reader = connect("%s/reader/%s" % (base, topic))
    producer = connect("%s/producer/%s" % (base, topic), header=["Authorization: Bearer not-checked"])

    text = base64.b64encode("Hello World".encode("UTF-8")).decode("UTF-8")
    properties = {"key1": "value1", "key2": "value2"}
    producer.send(json.dumps({"payload": text, "properties": properties, "context": 5}))
    answer = json.loads(producer.recv())
    expect("result", answer.get("result"), "ok")
    expect("context", answer.get("context"), "5")

    for name, socket in (("consumer", consumer), ("reader", reader)):
        message = receive(socket, ack=True)
        expect(name + " payload", base64.b64decode(message["payload"]), b"Hello World")
        expect(name + " properties", message["properties"], properties)
        expect(name + " message id", message["messageId"], answer["messageId"])
    for socket in (producer, reader, consumer):
        socket.close()

    again = connect_again("%s/consumer/%s/my-sub" % (base, topic))
    try:
        sys.exit("python: an acked message came again: " + again.recv())
    except websocket.WebSocketTimeoutException:
        again.close()


round_trip("/ws/v2", "persistent/public/default/guide-python-" + uuid.uuid4().hex)
print("python: ok")
