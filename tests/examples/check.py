"""Runs the programs of Pulsar's WebSocket guide (guide/) against a gateway, and says where they do not do what they say.

check.py ws://HOST:PORT   Exits with 1 when something differs. Needs websocket-client here, and `ws` where node finds it.

Only host and port are put into the programs; for what the guide of Pulsar 1 did not have (readers, Node.js on V1 paths),
the path too. They run for ever, so they are stopped when they have shown a message that this check publishes last.
"""

import base64
import json
import pathlib
import subprocess
import sys
import threading
import time
import uuid

import websocket

GATEWAY = sys.argv[1]
GUIDE = pathlib.Path(__file__).parent / "guide"
# One step, on a machine that compiles beside it.
SECONDS = 60

V2 = "/ws/v2/%s/persistent/public/default/my-topic"
V1 = "/ws/%s/persistent/sample/standalone/ns1/my-topic"

PUBLISHED = {"py": "Message published successfully", "js": "received ack: "}
RECEIVED = "Received: "
# What a line about the guide's message has; Node.js shows the frame as bytes.
MESSAGE = {"py": ["Hello World", "{'key1': 'value1', 'key2': 'value2'}"], "js": ["Hello World"]}


class Program:
    """One program of the guide, running; what it prints is kept."""

    def __init__(self, language, role, path):
        old = GUIDE / "v1" / ("%s.%s" % (role, language))
        file = old if path == V1 and old.exists() else GUIDE / ("%s.%s" % (role, language))
        text = file.read_text(encoding="utf-8")
        text = text.replace("ws://localhost:8080", GATEWAY).replace("://localhost:8080", GATEWAY[GATEWAY.index(":") :])
        text = text.replace(V2 % role, path % role)
        command = [sys.executable, "-u", "-c"] if language == "py" else ["node", "--no-deprecation", "-e"]
        self.name = "%s %s %s" % (file.name, "V1" if path == V1 else "v2", path % role)
        self.lines = []
        self.has_ended = False
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            command + [text], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line)
                self.changed.notify_all()
        with self.changed:
            self.has_ended = True
            self.changed.notify_all()

    def has_shown(self, text):
        with self.changed:
            return any(text in line for line in self.lines)

    def wait_for(self, text):
        shown = lambda: any(text in line for line in self.lines)
        with self.changed:
            self.changed.wait_for(lambda: shown() or self.has_ended, SECONDS)
            if not shown():
                sys.exit("%s: has not shown %r, but:\n%s" % (self.name, text, "".join(self.lines)))

    def stop(self):
        self.process.terminate()
        self.process.wait()


def connect(path, **options):
    return websocket.create_connection(GATEWAY + path, timeout=SECONDS, **options)


def connect_when_free(path):
    """The broker may still hold the exclusive subscription for the socket that has just gone (409)."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return connect(path)
        except websocket.WebSocketBadStatusException as refused:
            if refused.status_code != 409 or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def publish(path, text, **options):
    """One message from here, confirmed."""
    socket = connect(path % "producer", **options)
    socket.send(json.dumps({"payload": base64.b64encode(text.encode()).decode(), "context": 5}))
    answer = json.loads(socket.recv())
    if answer["result"] != "ok" or answer["context"] != "5":
        sys.exit("%s: %r" % (path % "producer", answer))
    socket.close()


def run_producer(language, path):
    producer = Program(language, "producer", path)
    producer.wait_for(PUBLISHED[language])
    producer.stop()


def check(language, path):
    """Producer, consumer and reader together: what is published is shown once, and what was acked does not come again."""
    consumer, reader = (Program(language, role, path) for role in ("consumer", "reader"))
    # Which of these is the first to reach them depends on when they are connected.
    while not (consumer.has_shown(RECEIVED) and reader.has_shown(RECEIVED)):
        run_producer(language, path)
    first, last, after = (uuid.uuid4().hex for _ in range(3))
    publish(path, first)
    run_producer(language, path)
    run_producer(language, path)
    publish(path, last)
    for program in (consumer, reader):
        program.wait_for(last)
        lines = program.lines
        begin, end = (next(at for at, line in enumerate(lines) if text in line) for text in (first, last))
        between = [line for line in lines[begin + 1 : end] if all(part in line for part in [RECEIVED, *MESSAGE[language]])]
        if len(between) != 2:
            sys.exit("%s: two messages are shown as\n%s" % (program.name, "".join(lines[begin : end + 1])))
        program.stop()
    # When the consumer has shown the last one it has acked all before.
    publish(path, after)
    socket = connect_when_free(path % "consumer" + "/my-sub")
    while (text := base64.b64decode(json.loads(socket.recv())["payload"]).decode()) != after:
        if text != last:
            sys.exit("%s: an acked message came again: %r" % (consumer.name, text))
    socket.close()


def check_tokens(path):
    """Clients send the token that their cluster wanted: with the prefix, with a slip in it, as a parameter for browsers."""
    for options in ({"header": ["Authorization:Bearer abc"]}, {"header": ["Authorization:Bearerabc"]}):
        publish(path, "token", **options)
    publish(path + "?token=abc", "token")


def check_compression():
    """What `ws` and the gateway compress for each other; both sides do by themselves what they agree on."""
    program = [pathlib.Path(__file__).parent / "compression.js", GATEWAY]
    if subprocess.run(["node", *program], timeout=SECONDS).returncode:
        sys.exit("compression.js: has failed")


for path in (V2, V1):
    for language in ("py", "js"):
        check(language, path)
    check_tokens(path)
check_compression()
print("the guide's programs: ok")
