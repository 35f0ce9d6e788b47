"""The smoke test with the real services: embedded broker, ingest-fn and drain-worker on SQLite, behind a gateway that
only routes. Needs SPILLWAY_TEST_SERVICES, the path of a built loadtest, which contains the services."""

import http.client
import http.server
import os
import pathlib
import random
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from world import DEPLOY, World

BINARY = os.environ.get("SPILLWAY_TEST_SERVICES")
CATALOGUE = DEPLOY / "catalogues/rehearsal.toml"


def free_ports(count):
    """Ports that no outgoing connection takes (Linux: from 32768) before the process binds them."""
    # Held until all are drawn, so that no number comes twice.
    held = []
    while len(held) < count:
        it = socket.socket()
        try:
            it.bind(("127.0.0.1", random.randrange(10_000, 32_768)))
        except OSError:
            it.close()
        else:
            held.append(it)
    free = [it.getsockname()[1] for it in held]
    for it in held:
        it.close()
    return free


@unittest.skipUnless(BINARY, "SPILLWAY_TEST_SERVICES is not set")
class Real(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.at = pathlib.Path(folder.name)
        self.broker, self.ingest, self.query, self.admin = free_ports(4)
        self.gateway = self.route()
        self.environment = os.environ | {
            "SPILLWAY_DATABASE_URL": f"sqlite:{self.at / 'orders.sqlite'}",
            "SPILLWAY_ROCKETMQ_ENDPOINT": f"127.0.0.1:{self.broker}",
            "SPILLWAY_CATALOGUE": str(CATALOGUE),
            "SPILLWAY_ORDER_ID_KEYS": "default=" + "5e" * 32,
        }

    def route(self):
        test = self

        class Gateway(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def forward(self, port):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                forwarded = {name: self.headers[name] for name in ["content-type", "idempotency-key"] if self.headers[name]}
                try:
                    connection.request(self.command, self.path, body or None, forwarded)
                    answer = connection.getresponse()
                    status, data = answer.status, answer.read()
                except OSError:
                    status, data = 503, b"{}"
                connection.close()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self):
                self.forward(test.ingest)

            def do_GET(self):
                self.forward(test.query)

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server.server_address[1]

    def start(self, *arguments, until):
        log = open(self.at / f"{arguments[0]}.log", "wb")
        self.addCleanup(log.close)
        # A process stops when its standard input closes.
        process = subprocess.Popen(
            [BINARY, "process", *arguments], env=self.environment, stdin=subprocess.PIPE, stdout=log, stderr=log
        )

        def end():
            process.stdin.close()
            process.kill()
            process.wait()

        self.addCleanup(end)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", until), timeout=1).close()
                return
            except OSError:
                self.assertIsNone(process.poll(), (self.at / f"{arguments[0]}.log").read_text())
                self.assertLess(time.monotonic(), deadline, arguments)
                time.sleep(0.02)

    def prepare(self):
        with subprocess.Popen(
            [BINARY, "process", "drain-worker", "init"], env=self.environment, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as process:
            self.assertEqual(process.wait(timeout=60), 0, process.stdout.read())

    def smoke(self, *arguments, **more):
        url = f"http://127.0.0.1:{self.gateway}"
        more = {"SPILLWAY_SMOKE_URL": url, "SPILLWAY_SMOKE_USER": "rehearser", "SPILLWAY_SMOKE_DECIDE_S": "20"} | more
        return self.world.run("smoke", *arguments, **more)

    def drain(self):
        self.start(
            "drain-worker", "run", "--migrate-on-start", f"--query-listen=127.0.0.1:{self.query}", f"--admin-listen=127.0.0.1:{self.admin}",
            until=self.query,
        )

    def test_smoke_orders_pass_through_the_real_services(self):
        self.start("broker", "--dir", str(self.at / "broker"), "--listen", f"127.0.0.1:{self.broker}", until=self.broker)
        self.prepare()
        self.start("ingest-fn", f"--listen=127.0.0.1:{self.ingest}", "--insecure-dev", "--workers=1", until=self.ingest)
        # No worker runs yet.
        code, _, errors = self.smoke(SPILLWAY_SMOKE_DECIDE_S="1")
        self.assertEqual(code, 1, errors)
        self.assertIn("1 order(s) accepted", errors)
        self.drain()
        code, _, errors = self.smoke("--canary", "0.5")
        self.assertEqual(code, 0, errors)
        self.assertEqual(errors.count(": confirmed"), 10, errors)
        # An unknown SKU is rejected with its code.
        code, _, errors = self.smoke(SPILLWAY_SMOKE_SKU="OTHER")
        self.assertEqual(code, 1)
        self.assertIn("422 unknown_sku", errors)
