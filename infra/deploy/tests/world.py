"""A simulated cloud for the deploy scripts: the stand-ins in bin/, and a gateway on loopback that behaves like the
cloud's function and workers."""

import http.server
import json
import os
import pathlib
import subprocess
import tempfile
import threading
import uuid

HERE = pathlib.Path(__file__).resolve().parent
DEPLOY = HERE.parent
REPO = DEPLOY.parents[1]

REGISTRY = "spillway.example.com/prod"


def image(service: str, digit: str) -> str:
    return f"{REGISTRY}/{service}@sha256:{digit * 64}"


OLD_INGEST, NEW_INGEST = image("ingest-fn", "a"), image("ingest-fn", "b")
OLD_WORKER, NEW_WORKER = image("drain-worker", "c"), image("drain-worker", "d")
OLD_ALIAS = {"versionId": "1", "additionalVersionWeight": {}}

# What the vendor says of Serverless App Engine, with its source.
SAE = json.loads((HERE / "facts/sae.json").read_text())

# Unique texts: the tests search all output for them.
SECRETS = {
    "migrator-url": "mysql://migrator:geheimnis-db@db:3306/spillway",
    "worker-mq": "geheimnis-mq",
    "registry": "geheimnis-registry",
    "token": "geheimnis-token",
}


class World:
    """One cloud and one gateway. `broken`: status of images whose function fails; `undecided`: no order is drained."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.at = pathlib.Path(self.folder.name)
        self.broken: dict[str, int] = {}
        self.undecided = False
        self.outcome = {"state": "confirmed"}
        self.orders: list[dict] = []
        self.lookups = 0
        self.write(
            {
                "functions": {
                    "ingest": {
                        "container": {"image": OLD_INGEST, "port": 9000, "healthCheckConfig": {"httpGetUrl": "/healthz"}},
                        "updated": False,
                        "versions": {"1": OLD_INGEST},
                        "aliases": {"live": OLD_ALIAS},
                    }
                },
                "workers": {"app-1": OLD_WORKER},
                "orders": {},
                "secrets": SECRETS,
            }
        )
        world = self

        class Gateway(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def reply(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if self.headers["authorization"] != f"Bearer {SECRETS['token']}":
                    return self.reply(401, {"code": "signature_missing"})
                self.reply(*world.take(body, self.headers["idempotency-key"]))

            def do_GET(self):
                self.reply(*world.look_up(self.path))

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.folder.cleanup()

    def write(self, cloud):
        (self.at / "cloud.json").write_text(json.dumps(cloud))

    def cloud(self):
        return json.loads((self.at / "cloud.json").read_text())

    def plan(self, **plan):
        (self.at / "plan.json").write_text(json.dumps(plan))

    def take(self, body, key):
        """Answers an order. The order's number selects the version, so that the weights hold exactly."""
        function = self.cloud()["functions"]["ingest"]
        alias = function["aliases"]["live"]
        version = alias["versionId"]
        number = len(self.orders) + 1
        for canary, weight in alias["additionalVersionWeight"].items():
            every = round(1 / weight)
            if number % every == every - 1:
                version = canary
        code = function["versions"][version]
        self.orders.append({"version": version, "body": body, "key": key})
        if code in self.broken:
            return self.broken[code], {"code": "publish_failed"}
        return 202, {"order_id": str(uuid.uuid5(uuid.NAMESPACE_URL, key)), "status": "accepted"}

    def look_up(self, _path):
        self.lookups += 1
        # The first lookup is too early.
        if self.undecided or self.lookups == 1:
            return 404, {"code": "order_not_found"}
        return 200, self.outcome

    def environment(self, **more):
        path = f"{HERE / 'bin'}:{os.environ['PATH']}"
        names = ["HOME", "CARGO_TARGET_DIR", "CARGO_HOME", "RUSTUP_HOME", "TMPDIR"]
        inherited = {name: os.environ[name] for name in names if name in os.environ}
        return inherited | {
            "PATH": path,
            "STUB": str(self.at),
            "SPILLWAY_REGION": "cn-hangzhou",
            "SPILLWAY_FUNCTION": "ingest",
            "SPILLWAY_WORKER_APP_ID": "app-1",
            "SPILLWAY_REGISTRY": REGISTRY,
            "SPILLWAY_REGISTRY_INSTANCE": "cri-1",
            "SPILLWAY_DATABASE_URL_SECRET": "migrator-url",
            "SPILLWAY_ROCKETMQ_SECRET": "worker-mq",
            "SPILLWAY_ROCKETMQ_ENDPOINT": "rmq:8081",
            "SPILLWAY_ROCKETMQ_ACCESS_KEY": "worker",
            "SPILLWAY_SMOKE_URL": f"http://127.0.0.1:{self.server.server_address[1]}",
            "SPILLWAY_SMOKE_TOKEN": SECRETS["token"],
            "SPILLWAY_CANARY_WEIGHT": "0.5",
            "SPILLWAY_DEPLOY_POLL_S": "0.01",
            "SPILLWAY_DEPLOY_ATTEMPTS": "1",
            # Long enough for a busy machine; a test that lets one of them end sets it.
            "SPILLWAY_DEPLOY_CALL_TIMEOUT_S": "60",
            "SPILLWAY_WORKER_DEADLINE_S": "60",
            "SPILLWAY_FUNCTION_DEADLINE_S": "60",
            "SPILLWAY_SMOKE_DECIDE_S": "60",
        } | more

    def start(self, script, *arguments, stdin=subprocess.DEVNULL, **environment):
        return subprocess.Popen(
            [DEPLOY / script, *arguments],
            env=self.environment(**environment),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, script, *arguments, **environment):
        """Exit code, standard output, standard error."""
        process = self.start(script, *arguments, **environment)
        output, errors = process.communicate(timeout=120)
        return process.returncode, output, errors

    def lines(self, name):
        path = self.at / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def calls(self):
        return self.lines("calls")

    def changes(self):
        """The changes in order, in short form."""
        found = []
        for call in self.calls():
            body = json.loads(call[call.index("--body") + 1]) if "--body" in call else {}
            match call[:3]:
                case ["fc", "PUT", path] if path.endswith("/provision-config"):
                    found.append(("warm", body["defaultTarget"]))
                case ["fc", "PUT", path] if "/aliases/" in path:
                    found.append(("alias", body["versionId"], body["additionalVersionWeight"]))
                case ["fc", "PUT", _]:
                    found.append(("function", body["customContainerConfig"]["image"]))
                case ["fc", "POST", _]:
                    found.append(("publish",))
                case ["sae", "POST", _]:
                    found.append(("workers", call[call.index("--ImageUrl") + 1]))
                case ["sae", "PUT", _]:
                    found.append(("abort",))
        return found

    def state_file(self):
        return self.at / "release.tsv"

    def release(self, *options, **environment):
        return self.run("release", "--state", self.state_file(), *options, NEW_INGEST, NEW_WORKER, **environment)

    def as_before(self):
        """Differences from the state before a release, without versions, which get no requests."""
        cloud = self.cloud()
        function = cloud["functions"]["ingest"]
        found = {
            "workers": cloud["workers"]["app-1"],
            "container": function["container"],
            "alias": function["aliases"]["live"],
        }
        expected = {
            "workers": OLD_WORKER,
            "container": {"image": OLD_INGEST, "port": 9000, "healthCheckConfig": {"httpGetUrl": "/healthz"}},
            "alias": OLD_ALIAS,
        }
        return {name: found[name] for name in found if found[name] != expected[name]}
