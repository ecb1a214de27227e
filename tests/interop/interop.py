"""Pulsar's Python client on a pipe: one JSON question per line in, one JSON answer per line out (see tests/it/interop)."""

import base64
import json
import os
import sys

import pulsar


def publish(client, question):
    """Publishes the messages; answers with their partitions."""
    batching = question.get("batching", False)
    producer = client.create_producer(
        question["topic"],
        compression_type=getattr(pulsar.CompressionType, COMPRESSIONS[question.get("compression", "NONE")]),
        message_routing_mode=pulsar.PartitionsRoutingMode.RoundRobinDistribution,
        batching_enabled=batching,
        batching_max_publish_delay_ms=1000,
        chunking_enabled=question.get("chunking", False),
        **encryption(question),
    )
    partitions = {}

    def done(place):
        def confirmed(result, message_id):
            assert result == pulsar.Result.Ok, result
            partitions[place] = message_id.partition()

        return confirmed

    for place, message in enumerate(question["publish"]):
        fields = {}
        if "key" in message:
            fields["partition_key"] = message["key"]
        if "eventTime" in message:
            fields["event_timestamp"] = message["eventTime"]
        if "properties" in message:
            fields["properties"] = message["properties"]
        producer.send_async(base64.b64decode(message["payload"]), done(place), **fields)
    # What is said of a message is said before the flush is over.
    producer.flush()
    producer.close()
    return [partitions[place] for place in range(len(question["publish"]))]


def encryption(question):
    """A producer's settings, for one key."""
    if "keys" not in question:
        return {}
    (name,) = question["encryptFor"]
    return {"encryption_key": name, "crypto_key_reader": key_reader(question)}


def key_reader(question):
    """With the one key pair that this client takes: of RSA."""
    if "keys" not in question:
        return None
    return pulsar.CryptoKeyReader(f"{question['keys']}/rsa.public.pem", f"{question['keys']}/rsa.private.pem")


# Of one message; what does not come by then does not come.
TIMEOUT_MS = 30_000

COMPRESSIONS = {"NONE": "NONE", "LZ4": "LZ4", "ZLIB": "ZLib", "ZSTD": "ZSTD", "SNAPPY": "SNAPPY"}


def read(client, question):
    """Reads so many messages from the topic's beginning."""
    consumer = client.subscribe(
        question["topic"],
        "interop-python",
        initial_position=pulsar.InitialPosition.Earliest,
        crypto_key_reader=key_reader(question),
    )
    messages = []
    while len(messages) < question["read"]:
        message = consumer.receive(TIMEOUT_MS)
        found = {
            "payload": base64.b64encode(message.data()).decode(),
            "partition": message.message_id().partition(),
            "properties": message.properties(),
        }
        if message.partition_key():
            found["key"] = message.partition_key()
        if message.event_timestamp():
            found["eventTime"] = message.event_timestamp()
        messages.append(found)
        consumer.acknowledge(message)
    consumer.close()
    return messages


def main():
    # Logs are no answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    client = pulsar.Client(sys.argv[1])
    for line in sys.stdin:
        question = json.loads(line)
        answer = publish(client, question) if "publish" in question else read(client, question)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    client.close()


main()
