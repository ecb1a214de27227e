"""wss:// with a token, by Python's websocket-client and Node's ws: in a header, in the query, among the protocols.

secured.py wss://HOST:PORT CA.pem SECRET   SECRET is what the gateway's tokens are signed with (HS256). Exits with 1 when
something differs. Needs websocket-client here, and `ws` where node finds it.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import ssl
import subprocess
import sys
import uuid

import websocket

GATEWAY, CA, SECRET = sys.argv[1:]
# One step, on a machine that compiles beside it.
SECONDS = 60
TOPIC = "persistent/public/default/secured-" + uuid.uuid4().hex


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(role):
    signed = encode(b'{"alg":"HS256"}') + "." + encode(json.dumps({"sub": role}).encode())
    return signed + "." + encode(hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).digest())


def connect(path, trusted=CA, **options):
    return websocket.create_connection(
        "%s/ws/v2/%s" % (GATEWAY, path), timeout=SECONDS, sslopt={"ca_certs": trusted} if trusted else {}, **options
    )


def exchange(query, **options):
    """A message from one socket to another, both with this token. The protocol that was agreed on."""
    consumer = connect("consumer/%s/sub?subscriptionType=Shared%s" % (TOPIC, query.replace("?", "&")), **options)
    producer = connect("producer/%s%s" % (TOPIC, query), **options)
    producer.send(json.dumps({"payload": base64.b64encode(b"hello").decode()}))
    answer, message = json.loads(producer.recv()), json.loads(consumer.recv())
    if answer["result"] != "ok" or base64.b64decode(message["payload"]) != b"hello":
        sys.exit("%r, %r" % (answer, message))
    consumer.send(json.dumps({"messageId": message["messageId"]}))
    consumer.close()
    producer.close()
    return producer.getsubprotocol()


def expect_refusal(**options):
    try:
        connect("reader/" + TOPIC, **options)
    except websocket.WebSocketBadStatusException as refused:
        if refused.status_code == 401:
            return
    sys.exit("not refused: %r" % options)


good = token("me")
for query, options, agreed in (
    ("", {"header": ["Authorization: Bearer " + good]}, None),
    ("?token=" + good, {}, None),
    ("", {"subprotocols": ["pulsar", "pulsar-token." + good]}, "pulsar"),
):
    if exchange(query, **options) != agreed:
        sys.exit("another protocol than %r" % agreed)
expect_refusal()
expect_refusal(header=["Authorization: Bearer " + good[:-1]])
try:
    connect("reader/" + TOPIC, trusted=None)
    sys.exit("a client that does not know the authority has connected")
except ssl.SSLCertVerificationError:
    pass
program = [pathlib.Path(__file__).parent / "secured.js", GATEWAY, CA, good]
if subprocess.run(["node", *program], timeout=SECONDS).returncode:
    sys.exit("secured.js: has failed")
print("wss with tokens: ok")
