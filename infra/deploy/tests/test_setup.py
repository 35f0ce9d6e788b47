"""Scripts of the set-up: GitHub's environments and variables, secrets, tokens, the domain, the test alert."""

import base64
import http.server
import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import threading
import unittest

from test_workflows import ENVIRONMENTS, jobs
from world import DEPLOY, REPO, World

ROOTS = ["account", "platform"]

# A value for each output that the pipeline needs; a test requires that one of the roots has each.
OUTPUTS = {
    "oidc_provider_arn": "acs:ram::1:oidc-provider/github",
    "role_arns": {it: {role: f"arn-{it}-{role}" for role in ["build", "deploy", "plan", "apply"]} for it in ["dev", "prod", "test"]},
    "backend": {it: f"bucket=state prefix=spillway/{it} region=cn-hangzhou" for it in ["dev", "prod", "test"]},
    "registry": {"instance_id": "cri-1", "address": "registry.example.com/x", "pull_address": "registry-vpc.example.com/x"},
    "function": {"name": "spillway-prod-ingest", "alias": "live"},
    "worker_application_id": "app-1",
    "secret_names": {"migrator-url": "spillway-prod-migrator-url", "broker-worker": "spillway-prod-broker-worker"},
    "rocketmq": {"endpoint": "rmq:8081", "worker_account": "worker"},
    "api_url": "https://api.example.com",
    "domain": "api.example.com",
}
SETTINGS = {
    "SPILLWAY_CATALOGUE_FILE": "sales.toml", "ALIYUN_CLI_VERSION": "3.4.11", "ALIYUN_CLI_SHA256": "e" * 64, "SPILLWAY_REVIEWERS": "ann bob",
}
# Settings that no output gives.
FREE = {
    "SPILLWAY_ALLOW_DESTROY": "module.x", "SPILLWAY_CANARY_WEIGHT": "0.2", "SPILLWAY_IMAGE_REF": "tag",
    "SPILLWAY_ROCKETMQ_NAMESPACE": "ns", "SPILLWAY_SMOKE_USER": "rehearsal",
}


class Github(unittest.TestCase):
    EMPTY = {"environments": {}, "variables": {}, "users": {"ann": 7, "bob": 8}}

    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)
        self.outputs(OUTPUTS)

    def outputs(self, outputs):
        """A stand-in of Terraform, which knows the outputs of both roots."""
        folder = self.world.at / "terraform-bin"
        folder.mkdir(exist_ok=True)
        declared = {root: set(re.findall(r'^output "(\w+)"', "".join(it.read_text() for it in (REPO / "infra" / root).glob("*.tf")), re.M)) for root in ROOTS}
        self.assertEqual(set(OUTPUTS) - declared["account"] - declared["platform"], set(), "no root has these outputs")
        shown = {root: {name: {"value": outputs[name]} for name in declared[root] & set(outputs)} for root in ROOTS}
        (folder / "outputs.json").write_text(json.dumps(shown))
        (folder / "terraform").write_text(
            f"#!/bin/sh\nroot=${{1##*/}}\n[ \"$2 $3\" = 'output -json' ] && exec jq \".[\\\"$root\\\"]\" {folder}/outputs.json\nexit 9\n"
        )
        (folder / "terraform").chmod(0o755)

    def run_it(self, *arguments, **environment):
        # What the world sets for the release is an output here.
        unset = ["SPILLWAY_CANARY_WEIGHT"]
        path = f"{self.world.at}/terraform-bin:{self.world.environment()['PATH']}"
        process = subprocess.run(
            [DEPLOY / "github-variables", *arguments],
            env={name: value for name, value in self.world.environment(PATH=path).items() if name not in unset} | environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )
        return process.returncode, process.stdout, process.stderr

    def hub(self):
        path = self.world.at / "github.json"
        return json.loads(path.read_text()) if path.exists() else {"environments": {}, "variables": {}}

    def test_every_variable_that_a_job_reads_is_set_in_its_environment(self):
        code, _, errors = self.run_it("prod", **SETTINGS, **FREE)
        self.assertEqual(code, 0, errors)
        hub = self.hub()
        everywhere = set(hub["variables"])
        deploy = (REPO / ".github/workflows/deploy.yml").read_text()
        for job, suffix in ENVIRONMENTS.items():
            # Those above `jobs:` are of every job.
            read = set(re.findall(r"vars\.(\w+)", jobs(deploy)[job] + deploy.split("\njobs:\n")[0]))
            here = hub["environments"][f"prod{suffix}"]["variables"]
            with self.subTest(job):
                self.assertEqual(read - set(here) - everywhere, set(), "read by the job, and not set")
                self.assertEqual(set(here) - read, set(), "set, and read by no job")

    def test_values_are_terraforms(self):
        self.assertEqual(self.run_it("prod", **SETTINGS)[0], 0)
        environments = self.hub()["environments"]
        for name, variable, expected in [
            ("prod-build", "ALIBABA_ROLE_ARN", "arn-prod-build"),
            ("prod", "ALIBABA_ROLE_ARN", "arn-prod-deploy"),
            ("prod-plan", "SPILLWAY_TERRAFORM_BACKEND", "bucket=state prefix=spillway/prod region=cn-hangzhou"),
            ("prod-apply", "ALIBABA_APPLY_ROLE_ARN", "arn-prod-apply"),
            ("prod-build", "SPILLWAY_REGISTRY_PULL", "registry-vpc.example.com/x"),
            ("prod", "SPILLWAY_SMOKE_URL", "https://api.example.com"),
        ]:
            self.assertEqual(environments[name]["variables"][variable], expected, variable)

    def test_the_certificates_of_all_domains_are_watched(self):
        self.assertEqual(self.run_it("prod", **SETTINGS)[0], 0)
        self.outputs(OUTPUTS | {"domain": "dev.example.com"})
        self.assertEqual(self.run_it("dev", **SETTINGS)[0], 0)
        self.outputs(OUTPUTS | {"domain": None})
        self.assertEqual(self.run_it("test", **SETTINGS)[0], 0)
        self.assertEqual(self.hub()["variables"]["SPILLWAY_DOMAINS"], "api.example.com dev.example.com")
        self.assertIn("vars.SPILLWAY_DOMAINS", (REPO / ".github/workflows/certificate.yml").read_text())

    def test_environments_deploy_from_main_alone_and_changes_wait_for_an_approval(self):
        self.assertEqual(self.run_it("prod", **SETTINGS)[0], 0)
        for name, environment in self.hub()["environments"].items():
            self.assertEqual(environment["branches"], ["main"], name)
            self.assertEqual(environment["reviewers"], [7, 8] if name in ["prod-apply", "prod"] else [], name)

    def test_a_second_run_changes_nothing_and_keeps_the_reviewers(self):
        self.assertEqual(self.run_it("prod", **SETTINGS)[0], 0)
        before = self.hub()
        before["environments"]["prod"]["reviewers"] = [9]
        (self.world.at / "github.json").write_text(json.dumps(before))
        code, _, errors = self.run_it("prod", **SETTINGS | {"SPILLWAY_REVIEWERS": ""})
        self.assertEqual(code, 0, errors)
        self.assertEqual(self.hub(), before)
        self.assertEqual(errors.count("nothing to change"), 5, errors)

    def test_an_environment_that_github_made_by_itself_is_limited_to_main(self):
        # GitHub's page "Managing environments": a workflow that names an environment which does not exist makes it, without rules.
        open_one = {"reviewers": [], "branches": [], "variables": {}, "secrets": {}, "limited": False}
        (self.world.at / "github.json").write_text(json.dumps(self.EMPTY | {"environments": {"prod-plan": open_one}}))
        code, _, errors = self.run_it("prod", **SETTINGS)
        self.assertEqual(code, 0, errors)
        found = self.hub()["environments"]["prod-plan"]
        self.assertEqual((found["limited"], found["branches"]), (True, ["main"]))
        # Another branch beside it is for a person to remove.
        hub = self.hub()
        hub["environments"]["prod-plan"]["branches"].append("*")
        (self.world.at / "github.json").write_text(json.dumps(hub))
        code, _, errors = self.run_it("prod", **SETTINGS)
        self.assertEqual(code, 1)
        self.assertIn("prod-plan must allow main and nothing else", errors)

    def test_only_what_differs_is_changed(self):
        self.assertEqual(self.run_it("prod", **SETTINGS)[0], 0)
        self.outputs(OUTPUTS | {"worker_application_id": "app-2"})
        code, _, errors = self.run_it("prod", **SETTINGS)
        self.assertEqual(code, 0, errors)
        self.assertEqual(re.findall(r"^(.*) = ", errors, re.M), ["prod: SPILLWAY_WORKER_APP_ID"])

    def test_a_setting_that_is_empty_deletes_the_variable_and_one_that_is_not_set_leaves_it(self):
        self.assertEqual(self.run_it("prod", **SETTINGS, **FREE)[0], 0)
        before = self.hub()
        self.assertEqual(self.run_it("prod", **SETTINGS)[0], 0)
        self.assertEqual(self.hub(), before)
        code, _, errors = self.run_it("prod", **SETTINGS, **{name: "" for name in FREE})
        self.assertEqual(code, 0, errors)
        found = {name for environment in self.hub()["environments"].values() for name in environment["variables"]}
        self.assertEqual(found & set(FREE), set())
        # And again, when there is nothing to delete.
        self.assertEqual(self.run_it("prod", **SETTINGS, **{name: "" for name in FREE})[0], 0)

    def test_pulls_by_the_address_of_pushes_stay_until_they_are_revoked(self):
        self.assertEqual(self.run_it("prod", **SETTINGS)[0], 0)
        for setting, expected in [
            ({"SPILLWAY_REGISTRY_PULL": ""}, "registry.example.com/x"),
            ({}, "registry.example.com/x"),
            ({"SPILLWAY_REGISTRY_PULL": "registry-vpc.example.com/x"}, "registry-vpc.example.com/x"),
            ({}, "registry-vpc.example.com/x"),
        ]:
            self.assertEqual(self.run_it("prod", **SETTINGS, **setting)[0], 0)
            self.assertEqual(self.hub()["environments"]["prod-build"]["variables"]["SPILLWAY_REGISTRY_PULL"], expected)

    def test_an_apply_that_is_not_complete_is_named(self):
        self.outputs({it: value for it, value in OUTPUTS.items() if it != "role_arns"})
        code, _, errors = self.run_it("prod", **SETTINGS)
        self.assertEqual(code, 1)
        self.assertIn("ALIBABA_PLAN_ROLE_ARN (prod-plan)", errors)
        self.assertEqual(self.hub()["environments"], {})

    def test_before_the_workers_their_application_is_named_as_not_yet_known(self):
        # Without a domain the address is the gateway's, which comes with the workers too.
        self.outputs(OUTPUTS | {"worker_application_id": None, "api_url": None, "domain": None})
        code, _, errors = self.run_it("prod", **SETTINGS)
        self.assertEqual(code, 0, errors)
        self.assertIn("not yet known: SPILLWAY_WORKER_APP_ID (prod) SPILLWAY_SMOKE_URL (prod).", errors)
        self.outputs(OUTPUTS)
        code, _, errors = self.run_it("prod", **SETTINGS)
        self.assertEqual(code, 0, errors)
        self.assertNotIn("not yet known", errors)
        self.assertEqual(self.hub()["environments"]["prod"]["variables"]["SPILLWAY_WORKER_APP_ID"], "app-1")

    def test_without_reviewers_nothing_that_changes_the_account_is_made(self):
        for reviewers, expected in [("", "set SPILLWAY_REVIEWERS"), ("eve", "does not know the user eve")]:
            code, _, errors = self.run_it("prod", **SETTINGS | {"SPILLWAY_REVIEWERS": reviewers})
            self.assertEqual(code, 1)
            self.assertIn(expected, errors)
            self.assertEqual(set(self.hub()["environments"]), {"prod-build", "prod-plan"})

    def test_a_plan_without_reviewers_is_named_before_the_first_change(self):
        # GitHub's page "Deployments and environments".
        for repository, code, made in [
            ({"visibility": "private", "type": "User"}, 1, set()),
            ({"visibility": "private", "plan": "team"}, 1, set()),
            ({"visibility": "internal", "plan": "free"}, 1, set()),
            ({"visibility": "private", "plan": "enterprise"}, 0, {"prod-build", "prod-plan", "prod-apply", "prod"}),
            # Not an owner of the organisation: only the attempt shows it.
            ({"visibility": "private", "plan": "team", "seen": False}, 1, {"prod-build", "prod-plan"}),
        ]:
            with self.subTest(repository):
                (self.world.at / "github.json").write_text(json.dumps(self.EMPTY | {"repository": repository}))
                found, _, errors = self.run_it("prod", **SETTINGS)
                self.assertEqual((found, set(self.hub()["environments"])), (code, made), errors)
                if code:
                    self.assertIn("need GitHub Enterprise", errors)

    def test_a_dry_run_makes_no_change(self):
        code, _, errors = self.run_it("prod", **SETTINGS, SPILLWAY_DEPLOY_DRY_RUN="yes")
        self.assertEqual(self.hub()["environments"], {}, errors)


class Secrets(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)
        environments = {name: {"reviewers": [], "branches": ["main"], "variables": {}, "secrets": {}} for name in ["prod-plan", "prod-apply", "prod"]}
        (self.world.at / "github.json").write_text(json.dumps({"environments": environments, "variables": {}, "users": {}}))
        self.variables = self.world.at / "private.tfvars.json"
        self.variables.write_text(json.dumps({"domain": {"name": "api.example.com"}}))

    def new(self):
        code, output, errors = self.world.run("secrets", "new")
        self.assertEqual(code, 0, errors)
        return json.loads(output)

    def store(self, secrets, **environment):
        process = self.world.start("secrets", "store", "prod", self.variables, stdin=subprocess.PIPE, **environment)
        output, errors = process.communicate(secrets if isinstance(secrets, str) else json.dumps(secrets), timeout=60)
        return process.returncode, output + errors

    def stored(self):
        return {name: it["secrets"] for name, it in json.loads((self.world.at / "github.json").read_text())["environments"].items()}

    def test_new_secrets_are_those_of_the_root_and_never_the_same(self):
        first, second = self.new(), self.new()
        variable = re.search(r'variable "secrets" \{\n(.*?)^\}$', (REPO / "infra/platform/variables.tf").read_text(), re.M | re.S)[1]
        declared = dict(re.findall(r"^    (\w+)\s+= (string|optional\(string\))$", variable, re.M))
        required = {name for name, kind in declared.items() if kind == "string"}
        self.assertEqual(required - set(first), set())
        self.assertEqual(set(first) - set(declared), set())
        self.assertEqual([name for name in first if first[name] == second[name]], [])

    def test_they_are_stored_with_the_variables_where_terraform_runs(self):
        secrets = self.new()
        code, shown = self.store(secrets, SPILLWAY_SMOKE_TOKEN="a.b.c")
        self.assertEqual(code, 0, shown)
        stored = self.stored()
        for name in ["prod-plan", "prod-apply"]:
            self.assertEqual(json.loads(stored[name]["TERRAFORM_VARIABLES"]), {"domain": {"name": "api.example.com"}, "secrets": secrets})
        self.assertEqual(stored["prod"], {"SPILLWAY_SMOKE_TOKEN": "a.b.c\n"})
        # Neither the output nor an argument has a value.
        calls = (self.world.at / "gh-calls").read_text()
        for value in secrets.values():
            self.assertNotIn(value, shown + calls)

    def test_a_fault_is_named_without_its_value_and_nothing_is_stored(self):
        good = self.new()
        for change, expected in [
            ({"gateway": None}, "gateway is missing"),
            ({"order_id_keys": "2026a=geheimnis"}, "order_id_keys has another form"),
            ({"database_worker": "geheimnis-ohne-ziffern"}, "database_worker has another form"),
            ({"broker_function": "geheimnis"}, "broker_function has another form"),
            ({"admin_token": 12345678901234567}, "admin_token has another form"),
            ({"admin_tokn": "geheimnis-geheimnis"}, "admin_tokn is not known"),
        ]:
            with self.subTest(expected):
                code, shown = self.store({name: value for name, value in (good | change).items() if value is not None})
                self.assertEqual(code, 1)
                self.assertIn(expected, shown)
                self.assertNotIn("geheimnis", shown)
        for text in ["", "[]", "no json", '"text"']:
            self.assertEqual(self.store(text)[0], 1, text)
        self.assertEqual(self.stored(), {"prod-plan": {}, "prod-apply": {}, "prod": {}})

    def test_a_missing_environment_is_an_error_that_says_what_to_do(self):
        (self.world.at / "github.json").unlink()
        code, shown = self.store(self.new())
        self.assertEqual(code, 1)
        self.assertIn("run infra/deploy/github-variables first", shown)


class Documented(unittest.TestCase):
    def test_commands_of_the_cli_have_a_region(self):
        """Those of the walk and of the operators, each with the exports of the block that begins its part."""
        readme = (REPO / "infra/README.md").read_text()
        for part, command in [
            ("First deployment", "aliyun quotas ListProductQuotas --ProductCode fc"),
            ("Operators", "aliyun oos GetSecretParameter --Name spillway-prod-admin-token --WithDecryption true"),
        ]:
            text = readme.split(f"\n## {part}\n")[1].split("\n## ")[0]
            self.assertIn(command, text)
            exports = "\n".join(re.findall(r"^export .*REGION.*$", re.search(r"```sh\n(.*?)```", text, re.S)[1], re.M))
            world = World()
            self.addCleanup(world.close)
            world.write(world.cloud() | {"secrets": {"spillway-prod-admin-token": "x"}})
            done = subprocess.run(
                ["bash", "-euc", f"{exports}\n{command}"], env={name: value for name, value in world.environment().items() if name != "SPILLWAY_REGION"},
                capture_output=True, text=True, timeout=60,
            )
            self.assertNotIn("region", done.stderr, part)


class SmokeToken(unittest.TestCase):
    def test_openssl_verifies_the_token_and_it_names_the_buyer(self):
        world = World()
        self.addCleanup(world.close)
        key, public = world.at / "key.pem", world.at / "public.pem"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        subprocess.run(["openssl", "rsa", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
        code, output, errors = world.run("smoke-token", key, "30", SPILLWAY_SMOKE_KEY_ID="k1")
        self.assertEqual(code, 0, errors)
        parts = output.strip().split(".")
        header, claims, signature = [base64.urlsafe_b64decode(it + "=" * (-len(it) % 4)) for it in parts]
        # RFC 7515, section 5.1, and RFC 7519, section 4.1.
        self.assertEqual(json.loads(header), {"alg": "RS256", "typ": "JWT", "kid": "k1"})
        claims = json.loads(claims)
        self.assertEqual((claims["sub"], claims["exp"] - claims["iat"]), ("rehearsal", 30 * 86400))
        (world.at / "signature").write_bytes(signature)
        verified = subprocess.run(
            ["openssl", "dgst", "-sha256", "-verify", public, "-signature", world.at / "signature"],
            input=".".join(parts[:2]).encode(), capture_output=True,
        )
        self.assertEqual(verified.stdout, b"Verified OK\n")

    def test_another_key_is_rejected(self):
        world = World()
        self.addCleanup(world.close)
        self.assertIn("not an RSA private key", world.run("smoke-token", "/dev/null")[2])


class Alerts(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)
        self.set(contacts={"spillway-prod": {"oncall": True, "deputy": True}}, rules={"spillway-prod-test": "DISABLED"})

    def set(self, **cloud):
        self.world.write(self.world.cloud() | cloud)

    def check(self, answers, **environment):
        process = self.world.start("check-alerts", "spillway-prod", stdin=subprocess.PIPE, **{"SPILLWAY_LOG_PROJECT": "logs", **environment})
        _, errors = process.communicate(answers, timeout=60)
        return process.returncode, errors

    def rule(self):
        return self.world.cloud()["rules"]["spillway-prod-test"]

    def switched(self):
        return [call[1] for call in self.world.calls() if call[0] == "sls" and call[1] != "GetAlert"]

    def test_everybody_has_received_it(self):
        code, errors = self.check("yes\nyes\n")
        self.assertEqual(code, 0, errors)
        self.assertIn("every contact has received the alert", errors)
        self.assertEqual((self.switched(), self.rule()), (["EnableAlert", "DisableAlert"], "DISABLED"))

    def test_a_contact_without_the_mail_is_named_and_silence_counts_as_no(self):
        for answers, names in [("yes\nno\n", "deputy"), ("no\nyes\n", "oncall"), ("", "oncall,deputy"), ("y\nyes\n", "oncall")]:
            with self.subTest(answers):
                code, errors = self.check(answers)
                self.assertEqual(code, 1)
                self.assertIn(f"not received: {names}.", errors)
                self.assertEqual(self.rule(), "DISABLED")

    def test_the_rule_is_switched_off_although_an_answer_is_lost(self):
        # Calls: contacts twice, the rule, on, off.
        self.world.plan(lose=[5])
        code, errors = self.check("yes\nyes\n")
        self.assertEqual((code, self.rule()), (0, "DISABLED"), errors)

    def test_a_rule_that_stays_on_is_an_error(self):
        self.world.plan(fail=[5])
        code, errors = self.check("yes\nyes\n")
        self.assertEqual(code, 1)
        self.assertIn("cannot switch the rule spillway-prod-test off", errors)

    def test_nothing_is_sent_without_confirmed_contacts_or_the_rule(self):
        for cloud, expected in [
            ({"contacts": {"spillway-prod": {"oncall": True, "deputy": False}}}, "not confirmed: deputy"),
            ({"contacts": {"spillway-prod": {"oncall": True}}, "rules": {}}, "is missing, or on"),
            ({"rules": {"spillway-prod-test": "ENABLED"}}, "is missing, or on"),
        ]:
            with self.subTest(expected):
                self.set(**cloud)
                code, errors = self.check("yes\nyes\n")
                self.assertEqual(code, 1)
                self.assertIn(expected, errors)
        self.assertEqual(self.switched(), [])


def certificate(folder: pathlib.Path, name: str, days: int, *, issuer: str | None = None) -> tuple[pathlib.Path, pathlib.Path]:
    """A certificate for `name`, by an authority of its own (`issuer`: by the one of an earlier call), and its key."""
    ca = folder / f"{issuer or name}.ca"
    if issuer is None:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{ca}.key", "-out", ca, "-days", "3650", "-subj", "/CN=test authority"],
            check=True, capture_output=True,
        )
    leaf, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", f"{leaf}.csr", "-subj", f"/CN={name}"], check=True, capture_output=True)
    extension = folder / f"{name}.ext"
    extension.write_text(f"subjectAltName=DNS:{name}\n")
    subprocess.run(
        ["openssl", "x509", "-req", "-in", f"{leaf}.csr", "-CA", ca, "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", str(days), "-extfile", extension, "-out", leaf],
        check=True, capture_output=True,
    )
    return leaf, key


class Domain(unittest.TestCase):
    NAME = "api.example.com"

    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)
        self.world.write(self.world.cloud() | {"domains": {}})
        self.chain, self.key = certificate(self.world.at, self.NAME, 90)
        self.roots = {"SSL_CERT_FILE": str(self.world.at / f"{self.NAME}.ca")}

    def domain(self, *arguments, **environment):
        code, _, errors = self.world.run("domain", *arguments, **{"SPILLWAY_GATEWAY_GROUP": "group-1"} | self.roots | environment)
        return code, errors

    def domains(self):
        return self.world.cloud()["domains"]

    def show(self, chain, key):
        """A server on loopback that shows this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"127.0.0.1:{server.server_address[1]}"

    def test_a_domain_is_bound_once(self):
        for text in ["bound", "is bound"]:
            code, errors = self.domain("bind", self.NAME)
            self.assertEqual(code, 0, errors)
            self.assertIn(text, errors)
        self.assertEqual(self.domains(), {self.NAME: None})
        self.assertEqual(sum(call[1] == "SetDomain" for call in self.world.calls()), 1)

    def test_a_refusal_shows_the_apis_code_and_message(self):
        self.world.plan(refused="ErrorCode: X\nMessage: the domain has no ICP filing")
        code, errors = self.domain("bind", self.NAME)
        self.assertEqual((code, self.domains()), (1, {}))
        for text in ["ErrorCode: X", "Message: the domain has no ICP filing", "a CNAME to the gateway", "an ICP filing that names Alibaba Cloud"]:
            self.assertIn(text, errors)

    def test_a_domain_that_may_not_be_used_is_an_error_although_it_is_bound(self):
        # The node CustomDomain: ABNORMAL "affects API calls and requires prompt resolution"; DomainRemark has the reason.
        self.world.write(self.world.cloud() | {"legal": {"DomainLegalStatus": "ABNORMAL", "DomainRemark": "the filing is missing"}})
        for _ in range(2):
            code, errors = self.domain("bind", self.NAME)
            self.assertEqual((code, self.domains()), (1, {self.NAME: None}))
            self.assertIn("calls of api.example.com are rejected (legal status ABNORMAL): the filing is missing", errors)

    def test_the_gateway_gets_the_certificate(self):
        self.domain("bind", self.NAME)
        code, errors = self.domain("certificate", self.NAME, self.chain, self.key)
        self.assertEqual(code, 0, errors)
        self.assertEqual(self.domains()[self.NAME], self.chain.read_text().strip())
        self.assertNotIn("PRIVATE KEY", errors)

    def test_a_certificate_that_would_break_clients_is_not_sent(self):
        self.domain("bind", self.NAME)
        other, other_key = certificate(self.world.at, "other.example.com", 90, issuer=self.NAME)
        old, old_key = certificate(self.world.at, "api.example.com", 3, issuer=self.NAME)
        short = (old.read_text(), old_key.read_text())
        self.chain, self.key = certificate(self.world.at, self.NAME, 90, issuer=self.NAME)
        (self.world.at / "short.pem").write_text(short[0])
        (self.world.at / "short.key").write_text(short[1])
        for chain, key, environment, expected in [
            (self.chain, other_key, {}, "is not the key of"),
            (other, other_key, {}, "is not for api.example.com"),
            (self.world.at / "short.pem", self.world.at / "short.key", {}, "valid for less than seven days"),
            (self.chain, self.key, {"SSL_CERT_FILE": str(self.key), "SSL_CERT_DIR": "/nonexistent"}, "does not lead to a root"),
            (self.key, self.key, {}, "not a certificate"),
            (self.chain, self.chain, {}, "not a private key"),
        ]:
            with self.subTest(expected):
                code, errors = self.domain("certificate", self.NAME, chain, key, **environment)
                self.assertEqual(code, 1)
                self.assertIn(expected, errors)
        self.assertEqual(self.domains(), {self.NAME: None})

    def test_a_dry_run_shows_no_key(self):
        code, errors = self.domain("certificate", self.NAME, self.chain, self.key, SPILLWAY_DEPLOY_DRY_RUN="yes")
        self.assertEqual(code, 0, errors)
        self.assertNotIn("KEY", errors)
        self.assertEqual(self.world.calls(), [])

    def test_the_end_of_the_certificate_in_use_is_seen_before_it(self):
        address = self.show(self.chain, self.key)
        for name, days, code, expected in [
            (self.NAME, "30", 0, "is valid until"),
            (self.NAME, "89", 0, "is valid until"),
            (self.NAME, "91", 1, "ends on"),
            ("shop.example.com", "30", 1, "is for another name"),
        ]:
            with self.subTest(days):
                found, errors = self.domain("check", name, days, SPILLWAY_DOMAIN_ADDRESS=address)
                self.assertEqual(found, code, errors)
                self.assertIn(expected, errors)
        code, errors = self.domain("check", self.NAME, SPILLWAY_DOMAIN_ADDRESS="127.0.0.1:9")
        self.assertEqual(code, 1)
        self.assertIn("shows no certificate", errors)

    def lego(self):
        """A stand-in of lego 4, which writes the certificate where its manual says: PATH/certificates/DOMAIN.crt and .key."""
        folder = self.world.at / "lego-bin"
        folder.mkdir()
        (folder / "lego").write_text(
            "#!/bin/bash\nset -eu\nprintf '%s\\n' \"$*\" >>\"$STUB/lego-calls\"\n"
            "while (($#)); do case $1 in --path) path=$2; shift;; --domains) name=$2; shift;; esac; shift; done\n"
            f"mkdir -p \"$path/certificates\"; cp {self.chain} \"$path/certificates/$name.crt\"; cp {self.key} \"$path/certificates/$name.key\"\n"
        )
        (folder / "lego").chmod(0o755)
        return {"PATH": f"{folder}:{self.world.environment()['PATH']}", "SPILLWAY_ACME_DIR": str(self.world.at / "acme")}

    def test_renewing_does_something_only_near_the_end(self):
        self.domain("bind", self.NAME)
        lego = self.lego()
        fresh = self.show(self.chain, self.key)
        code, errors = self.domain("renew", self.NAME, "ops@example.com", SPILLWAY_DOMAIN_ADDRESS=fresh, **lego)
        self.assertEqual(code, 0, errors)
        self.assertIn("nothing to do", errors)
        self.assertFalse((self.world.at / "lego-calls").exists())
        # A default certificate of the gateway is none of this domain's.
        other = self.show(*certificate(self.world.at, "gateway.example.net", 90))
        code, errors = self.domain("renew", self.NAME, "ops@example.com", SPILLWAY_DOMAIN_ADDRESS=other, **lego)
        self.assertEqual(code, 0, errors)
        self.assertEqual(len((self.world.at / "lego-calls").read_text().splitlines()), 1)
        (self.world.at / "lego-calls").unlink()
        shutil.rmtree(self.world.at / "acme")
        # The first certificate, while nothing is shown; then a renewal.
        for action in ["run", "renew --days 30"]:
            code, errors = self.domain("renew", self.NAME, "ops@example.com", SPILLWAY_DOMAIN_ADDRESS="127.0.0.1:9", **lego)
            self.assertEqual(code, 0, errors)
            self.assertEqual((self.world.at / "lego-calls").read_text().splitlines()[-1].split(str(self.world.at / "acme"))[1].strip(), action)
        self.assertEqual(self.domains()[self.NAME], self.chain.read_text().strip())
        self.assertEqual(os.stat(self.world.at / "acme").st_mode & 0o077, 0)

    def test_arguments_are_checked(self):
        for arguments in [[], ["bind"], ["bind", "no domain"], ["renew", self.NAME, "nobody"], ["check", self.NAME, "soon"], ["drop", self.NAME]]:
            with self.subTest(arguments):
                self.assertEqual(self.domain(*arguments)[0], 1)
        self.assertEqual(self.world.calls(), [])
