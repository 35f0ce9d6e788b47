"""The official Python client behind the line protocol of OfficialClient.java, for tests of other clients and brokers.

The arguments are the endpoint and, on a broker that checks signatures, access key and secret key.
"""

import sys
import time

from rocketmq import ClientConfiguration, Credentials, FilterExpression, Message, Producer, SimpleConsumer
from rocketmq.grpc_protocol import FilterType
from rocketmq.v5.exception.client_exception import InternalErrorException

AWAIT_S = 5
INVISIBLE_S = 30
RECEIVE_MAX_S = 60


class OfficialClient:
    def __init__(self, endpoint, access_key="", secret_key=""):
        self.configuration = ClientConfiguration(endpoint, Credentials(access_key, secret_key))
        self.producers = {}
        self.consumers = {}

    def execute(self, words):
        commands = {"send": self.send, "subscribe": self.subscribe, "receive": self.receive}
        return commands[words[0]](*words[1:])

    def send(self, topic, tag, keys, properties, group, delay_ms, body):
        if topic not in self.producers:
            producer = Producer(self.configuration, [topic])
            producer.startup()
            self.producers[topic] = producer
        message = Message()
        message.topic = topic
        message.body = bytes.fromhex(body)
        if tag != "-":
            message.tag = tag
        if keys != "-":
            for key in keys.split(","):
                message.keys = key
        if properties != "-":
            for item in properties.split(","):
                message.add_property(*item.split("="))
        if group != "-":
            message.message_group = group
        if delay_ms != "-":
            # In whole seconds, so rounded up.
            message.delivery_timestamp = int(time.time() + int(delay_ms) / 1000) + 1
        return [f"ok\t{self.producers[topic].send(message).message_id}"]

    def subscribe(self, group, topic, kind, expression):
        filter_type = FilterType.SQL if kind == "sql" else FilterType.TAG
        consumer = SimpleConsumer(
            self.configuration, group, {topic: FilterExpression(expression, filter_type)}, await_duration=AWAIT_S
        )
        consumer.startup()
        self.consumers[group] = consumer
        return ["ok"]

    def receive(self, group, count):
        consumer = self.consumers[group]
        deadline = time.monotonic() + RECEIVE_MAX_S
        lines = []
        while len(lines) < int(count) and time.monotonic() < deadline:
            try:
                messages = consumer.receive(int(count) - len(lines), INVISIBLE_S) or []
            except InternalErrorException:
                # The client does not wait for its settings to arrive; until then Apache's proxy fails a receive.
                time.sleep(0.2)
                continue
            for message in messages:
                lines.append(describe(message))
                consumer.ack(message)
        received = len(lines)
        return lines + (["ok"] if received == int(count) else [f"error\treceived {received} of {count}"])


def describe(message):
    properties = ",".join(f"{name}={value}" for name, value in sorted(message.properties.items()))
    fields = [
        "message",
        message.message_id,
        message.tag or "-",
        ",".join(sorted(message.keys)) or "-",
        properties or "-",
        message.message_group or "-",
        str(message.delivery_attempt),
        message.body.hex(),
    ]
    return "\t".join(fields)


def main():
    client = OfficialClient(*sys.argv[1:])
    for line in sys.stdin:
        try:
            answer = client.execute(line.rstrip("\n").split("\t"))
        except Exception as error:
            answer = ["error\t" + " ".join(repr(error).split())]
        print("\n".join(answer), flush=True)


main()
