"""Safety checks of a release: time window, migrations, plans."""

import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from world import DEPLOY, REPO


def run(script, *arguments, **environment):
    result = subprocess.run(
        [DEPLOY / script, *map(str, arguments)], capture_output=True, text=True, timeout=120,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]} | environment,
    )
    return result.returncode, result.stdout + result.stderr


class InAFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.at = pathlib.Path(folder.name)


class Window(InAFolder):
    def write(self, *sales, at=None):
        now = datetime.datetime.now(datetime.timezone.utc)
        text = ""
        for name, opens_min, closes_min in sales:
            opens, closes = (now + datetime.timedelta(minutes=it) for it in (opens_min, closes_min))
            text += f'[[sales]]\nid = "{name}"\nopens_at = "{opens.isoformat()}"\ncloses_at = "{closes.isoformat()}"\n'
        ((at or self.at) / "sales.toml").write_text(text)

    def check(self, sales, **environment):
        self.write(*sales)
        return run("check-window", self.at / "sales.toml", **environment)

    def test_no_release_while_a_sale_is_on_or_near(self):
        rehearsal = ("rehearsal", -1000, 1000)
        for sale, code in [
            (("sale", -10, 10), 1),
            (("sale", 60, 120), 1),
            (("sale", 119, 180), 1),
            (("sale", 121, 180), 0),
            (("sale", -60, -1), 0),
        ]:
            with self.subTest(sale):
                self.assertEqual(self.check([rehearsal, sale])[0], code)
        self.assertEqual(self.check([rehearsal, ("sale", 60, 120)], SPILLWAY_FREEZE_BEFORE_MIN="30")[0], 0)
        self.assertEqual(self.check([rehearsal, ("sale", -10, 10)], SPILLWAY_RELEASE_DURING_SALE="yes")[0], 0)

    def test_the_rehearsal_sale_must_be_open(self):
        for sales in [[("other", 1000, 2000)], [("rehearsal", 5, 10)], [("rehearsal", -10, -5)]]:
            self.assertEqual(self.check(sales)[0], 1)

    REHEARSAL = ("rehearsal", -1000, 1000)

    def git(self, *arguments):
        command = ["git", "-C", self.at, "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments]
        subprocess.run(command, check=True, capture_output=True)

    def commit(self, *sales):
        """Commits a version of the catalogue; the first call makes the repository."""
        folder = self.at / "catalogues"
        if not folder.exists():
            folder.mkdir()
            self.git("init", "-q")
        if sales:
            self.write(*sales, at=folder)
        self.git("add", "-A")
        self.git("commit", "-qm", "x", "--allow-empty")

    def check_committed(self, **environment):
        return run("check-window", self.at / "catalogues/sales.toml", **environment)

    def test_a_sale_of_an_earlier_version_counts(self):
        for sale, code in [(("today", -10, 60), 1), (("today", 60, 120), 1), (("today", 121, 180), 0), (("today", -60, -1), 0)]:
            with self.subTest(sale):
                for old in self.at.iterdir():
                    shutil.rmtree(old)
                self.commit(self.REHEARSAL, sale)
                self.commit(self.REHEARSAL, ("another", 5000, 6000))
                self.commit(self.REHEARSAL, ("next-week", 10000, 10060))
                found, output = self.check_committed()
                self.assertEqual(found, code, output)
                if code:
                    self.assertIn("sale today is on from", output)
                    self.assertIn("MISSING", output)
                    self.assertIn("unknown_sale", output)
                # A cancelled sale can be overridden.
                self.assertEqual(self.check_committed(SPILLWAY_RELEASE_DURING_SALE="yes")[0], 0)

    def test_an_uncommitted_change_does_not_hide_a_sale(self):
        self.commit(self.REHEARSAL, ("today", -10, 60))
        self.write(self.REHEARSAL, ("next-week", 10000, 10060), at=self.at / "catalogues")
        self.assertEqual(self.check_committed()[0], 1)

    def test_a_postponed_sale_counts_with_its_old_times(self):
        self.commit(self.REHEARSAL, ("today", -10, 60))
        self.commit(self.REHEARSAL, ("today", 5000, 6000))
        code, output = self.check_committed()
        self.assertEqual(code, 1)
        self.assertIn("has other times for it", output)
        self.assertNotIn("MISSING", output)

    def test_a_sale_in_several_versions_is_reported_once(self):
        self.commit(self.REHEARSAL, ("today", -10, 60))
        self.commit(self.REHEARSAL, ("today", -10, 60), ("next-week", 10000, 10060))
        code, output = self.check_committed()
        self.assertEqual(code, 1)
        self.assertEqual(output.count("today"), 1, output)

    def test_invalid_earlier_versions_are_skipped(self):
        path = self.at / "catalogues/sales.toml"
        self.commit(self.REHEARSAL, ("today", -10, 60))
        for text in ["no TOML [", "sales = 7", "[[sales]]\nid = 'x'\n", "[[sales]]\nid = 'x'\nopens_at = 'soon'\ncloses_at = 3\n",
                     "[[sales]]\nid = 'x'\nopens_at = 2026-01-01T00:00:00\ncloses_at = 2036-01-01T00:00:00\n", ""]:
            path.write_text(text)
            self.commit()
        path.unlink()
        self.commit()
        self.commit(self.REHEARSAL)
        code, output = self.check_committed()
        self.assertEqual(code, 1, output)
        self.assertIn("today", output)
        self.assertNotIn("Traceback", output)

    def test_a_missing_history_is_reported(self):
        code, output = self.check([self.REHEARSAL])
        self.assertEqual(code, 0)
        self.assertIn("only its current content counts", output)
        # The same for a file that was never committed.
        (self.at / "sales.toml").unlink()
        self.commit()
        code, output = self.check([self.REHEARSAL])
        self.assertEqual(code, 0)
        self.assertIn("only its current content counts", output)
        # A shallow clone lacks earlier versions.
        self.commit(self.REHEARSAL, ("today", -10, 60))
        self.commit(self.REHEARSAL)
        self.git("clone", "-q", "--depth", "1", f"file://{self.at}", self.at / "shallow")
        code, output = run("check-window", self.at / "shallow/catalogues/sales.toml")
        self.assertIn("the git history is truncated", output)
        self.assertNotIn("truncated", self.check_committed()[1])

    def test_a_python_without_tomllib_is_an_error(self):
        (self.at / "tomllib.py").write_text("raise ModuleNotFoundError('tomllib')\n")
        code, output = self.check([self.REHEARSAL], PYTHONPATH=str(self.at))
        self.assertEqual(code, 1)
        self.assertIn("needs python3 3.11 or later", output)
        self.assertNotIn("Traceback", output)
        # --help works anyway.
        self.assertEqual(run("check-window", "--help", PYTHONPATH=str(self.at))[0], 0)

    def test_the_example_catalogue_is_valid(self):
        code, output = run("check-window", DEPLOY / "catalogues/rehearsal.toml")
        self.assertEqual(code, 0, output)


class Migrations(InAFolder):
    def check(self, *texts):
        for old in self.at.iterdir():
            old.unlink()
        for number, text in enumerate(texts, 1):
            (self.at / f"{number:04}_x.sql").write_text(text)
        return run("check-migrations", self.at)

    def test_the_repositorys_migrations_are_additive(self):
        code, output = run("check-migrations")
        self.assertEqual(code, 0, output)
        self.assertGreaterEqual(len(list((REPO / "drain-worker/migrations").rglob("*.sql"))), 8)

    def test_additive_statements_pass(self):
        for text in [
            "CREATE TABLE t (a INT NOT NULL, drop_at DATETIME NULL COMMENT 'DROP TABLE x; RENAME');",
            "-- DROP TABLE t;\nALTER TABLE t ADD COLUMN b INT NULL, ADD KEY t_b (b);",
            "ALTER TABLE t ADD COLUMN b INT NOT NULL DEFAULT 0;",
            "CREATE INDEX t_a ON t (a);",
            "INSERT INTO t VALUES ('it''s UPDATE t');",
            "CREATE TABLE u (a INT, CONSTRAINT c CHECK (a > 0), FOREIGN KEY (a) REFERENCES t (a) ON DELETE CASCADE);",
        ]:
            with self.subTest(text):
                code, output = self.check(text)
                self.assertEqual(code, 0, output)

    def test_other_statements_are_rejected(self):
        for text, said in [
            ("DROP TABLE t;", "DROP TABLE"),
            ("alter table t drop column a;", "DROP COLUMN"),
            ("ALTER TABLE t ADD COLUMN b INT NULL, DROP INDEX t_a;", "DROP INDEX"),
            ("ALTER TABLE t RENAME TO u;", "RENAME"),
            ("RENAME TABLE t TO u;", "RENAME"),
            ("ALTER TABLE t MODIFY a BIGINT;", "MODIFY"),
            ("ALTER TABLE t CHANGE a b BIGINT;", "CHANGE"),
            ("ALTER TABLE t CHANGE COLUMN `a` `b` INT;", "CHANGE"),
            ("ALTER TABLE t ALTER COLUMN a SET DEFAULT 1;", "ALTER COLUMN"),
            ("ALTER TABLE t ADD COLUMN b INT NOT NULL;", "ADD NOT NULL"),
            ("ALTER TABLE t ADD b INT NOT NULL;", "ADD NOT NULL"),
            ("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0);", "ADD CONSTRAINT"),
            ("ALTER TABLE t ADD UNIQUE KEY u (a);", "ADD CONSTRAINT"),
            ("ALTER TABLE t CONVERT TO CHARACTER SET latin1;", "CONVERT"),
            ("UPDATE t SET a = 1;", "UPDATE"),
            ("DELETE FROM t;", "DELETE"),
            ("TRUNCATE t;", "TRUNCATE"),
            ("CREATE TABLE u (a INT);\n/* x */ DROP TABLE t;", "DROP TABLE"),
        ]:
            with self.subTest(text):
                code, output = self.check(text)
                self.assertEqual(code, 1)
                self.assertIn(said, output)

    def test_an_exception_needs_its_kind_and_a_reason(self):
        reason = "-- not additive: DROP COLUMN: no release since 0.4 reads it\n"
        self.assertEqual(self.check(reason + "ALTER TABLE t DROP COLUMN a;")[0], 0)
        self.assertEqual(self.check(reason + "DROP TABLE t;")[0], 1)
        self.assertEqual(self.check("-- not additive: DROP COLUMN:\nALTER TABLE t DROP COLUMN a;")[0], 1)

    def test_numbers_have_no_gaps(self):
        self.assertEqual(self.check("SELECT 1;", "SELECT 1;")[0], 0)
        (self.at / "0004_y.sql").write_text("SELECT 1;")
        self.assertEqual(run("check-migrations", self.at)[0], 1)

    def test_an_empty_folder_is_an_error(self):
        self.assertEqual(run("check-migrations", self.at)[0], 1)


@unittest.skipUnless(shutil.which("jq"), "jq is missing")
class Guard(InAFolder):
    def faults(self, *changes, allowed=()):
        plan = {"resource_changes": [
            {"address": f"module.x.{kind}.this", "type": kind, "change": {"actions": actions, "before": before, "after": after}}
            for kind, actions, before, after in changes
        ]}
        result = subprocess.run(
            ["jq", "-r", "--argjson", "allowed", json.dumps(list(allowed)), "-f", DEPLOY / "plan-guard.jq"],
            input=json.dumps(plan), capture_output=True, text=True, check=True,
        )
        return result.stdout.splitlines()

    def test_resources_with_orders_are_not_destroyed(self):
        for kind in ["alicloud_polardb_cluster", "alicloud_rocketmq_instance", "alicloud_oos_secret_parameter"]:
            for actions, said in [(["delete"], "destroyed"), (["delete", "create"], "replaced"), (["create", "delete"], "replaced")]:
                with self.subTest(kind, actions=actions):
                    (fault,) = self.faults((kind, actions, {}, {}))
                    self.assertIn(said, fault)
            self.assertEqual(self.faults((kind, ["delete"], {}, {}), allowed=[f"module.x.{kind}.this"]), [])
            self.assertEqual(self.faults((kind, ["create"], None, {}), (kind, ["update"], {}, {}), (kind, ["no-op"], {}, {})), [])

    def test_resources_on_the_path_of_orders_are_not_destroyed(self):
        for kind in ["alicloud_rocketmq_account", "alicloud_fcv3_trigger", "alicloud_alb_load_balancer", "alicloud_api_gateway_api",
                     "alicloud_polardb_endpoint", "alicloud_api_gateway_vpc_access", "alicloud_ram_role", "alicloud_nat_gateway"]:
            with self.subTest(kind):
                self.assertEqual(len(self.faults((kind, ["delete"], {}, {}))), 1)
                self.assertEqual(len(self.faults((kind, ["delete", "create"], {}, {}))), 1)

    def test_the_old_account_can_be_destroyed_by_its_address(self):
        # At the end of a rotation, with plan.sh's setting and the README's address.
        address = 'module.rocketmq.alicloud_rocketmq_account.function["a"]'
        other = address.replace('"a"', '"b"')
        self.assertIn(f"`{address}`", (DEPLOY / "README.md").read_text())
        plan = self.at / "plan.json"
        plan.write_text(json.dumps({"resource_changes": [
            {"address": it, "type": "alicloud_rocketmq_account", "change": {"actions": ["delete"], "before": {}, "after": None}}
            for it in [address, other]
        ]}))
        stub = self.at / "terraform"
        stub.write_text(f"#!/bin/sh\ncat {plan}\n")
        stub.chmod(0o755)
        script = f"set -eu; die() {{ echo \"$*\"; exit 1; }}; DEPLOY={DEPLOY} REPO={REPO}; . {DEPLOY}/plan.sh; guard_plan prod {self.at}"
        for allowed, left in [("", "ab"), (address, "b"), (f"{address} {other}", "")]:
            result = subprocess.run(
                ["bash", "-c", script], capture_output=True, text=True,
                env={"PATH": f"{self.at}:{os.environ['PATH']}", "SPILLWAY_ALLOW_DESTROY": allowed},
            )
            found = sorted(set(re.findall(r'function\["(\w)"\]: would be destroyed', result.stdout)))
            self.assertEqual((result.returncode, found), (int(bool(left)), list(left)), result)

    def test_attributes_of_the_release_do_not_change(self):
        for kind, name in [
            ("alicloud_fcv3_alias", "version_id"),
            ("alicloud_fcv3_alias", "additional_version_weight"),
            ("alicloud_sae_application", "image_url"),
        ]:
            with self.subTest(kind, name=name):
                (fault,) = self.faults((kind, ["update"], {name: "a"}, {name: "b"}))
                self.assertIn(f"{name} belongs to the release", fault)
                self.assertEqual(self.faults((kind, ["update"], {name: "a", "x": 1}, {name: "a", "x": 2})), [])

    def test_other_changes_pass(self):
        self.assertEqual(self.faults(("alicloud_security_group_rule", ["delete", "create"], {}, {})), [])


class ByHand(InAFolder):
    """apply-by-hand with a stand-in of Terraform, which records its arguments and shows a given plan."""

    VARIABLES = {"TF_VAR_secrets": "{}", "TF_VAR_ingest_image": "i", "TF_VAR_worker_image": "w"}

    def setUp(self):
        super().setUp()
        (self.at / "prod.tfvars").write_text("")
        stand_in = self.at / "bin/terraform"
        stand_in.parent.mkdir()
        stand_in.write_text(
            f"#!/bin/bash\n[[ $2 == show ]] || echo \"${{*:2}}\" >>{self.at}/calls\n[[ $2 != show ]] || cat {self.at}/plan.json\n"
        )
        stand_in.chmod(0o755)

    def apply(self, *options, answer="yes", changes=(), **variables):
        """Exit code, output, and the calls but for the folder of the saved plan."""
        (self.at / "calls").write_text("")
        (self.at / "plan.json").write_text(json.dumps({"resource_changes": list(changes)}))
        environment = {"PATH": f"{self.at}/bin:{os.environ['PATH']}", "HOME": str(self.at), "SPILLWAY_TERRAFORM_ROOT": str(self.at)}
        done = subprocess.run(
            [DEPLOY / "apply-by-hand", *options], env=environment | self.VARIABLES | variables, input=answer, capture_output=True, text=True, timeout=60,
        )
        return done.returncode, done.stdout + done.stderr, re.sub(r"/\S+/plan\b", "PLAN", (self.at / "calls").read_text()).splitlines()

    def test_a_person_applies_the_plan_that_was_shown(self):
        plan = "plan -lock-timeout=300s -var-file=prod.tfvars -var-file=private.tfvars.json -out=PLAN -var workers=false"
        code, output, calls = self.apply("prod", "-var", "workers=false")
        self.assertEqual((code, calls), (0, [plan, "apply -lock-timeout=300s PLAN"]), output)
        for answer in ["no", "", "y"]:
            code, output, calls = self.apply("prod", "-var", "workers=false", answer=answer)
            self.assertEqual((code, calls), (1, [plan]), output)
            self.assertIn("not applied", output)

    def test_the_first_apply_cannot_be_repeated_once_there_are_workers(self):
        # Terraform: a module whose count becomes 0 is planned as a deletion of each of its resources.
        gone = [
            {"address": f"module.{module}[0].{kind}.this", "type": kind, "change": {"actions": ["delete"], "before": {}, "after": None}}
            for module, kind in [("worker", "alicloud_sae_application"), ("gateway", "alicloud_api_gateway_group")]
        ]
        code, output, calls = self.apply("prod", "-var", "workers=false", changes=gone)
        self.assertEqual((code, len(calls)), (1, 1), output)
        self.assertIn("module.worker[0].alicloud_sae_application.this: would be destroyed", output)

    def test_missing_variables_are_named_before_the_plan(self):
        for name in self.VARIABLES:
            code, output, calls = self.apply("prod", **{name: ""})
            self.assertEqual((code, calls), (1, []), output)
            self.assertIn(f"not set: {name}", output)
        self.assertEqual(self.apply("other")[0], 1)

    def test_every_documented_apply_has_a_value_for_every_variable(self):
        """A variable without a default is in both sets of the repository, required by the script, or named where the walk writes the
        private file."""
        def without_default(root):
            text = (REPO / f"infra/{root}/variables.tf").read_text()
            return {name for name, body in re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.M | re.S) if not re.search(r"^  default +=", body, re.M)}

        readme = (REPO / "infra/README.md").read_text()
        sets = [set(re.findall(r"^(\w+) += ", it.read_text(), re.M)) for it in (REPO / "infra/platform").glob("*.tfvars")]
        self.assertEqual(len(sets), 2)
        private = set(re.findall(r"`(\w+)`", re.search(r"`infra/platform/private.tfvars.json`, which git ignores: (.*?)\.", readme)[1]))
        required = set(re.findall(r"TF_VAR_(\w+)", re.search(r"^require (.*)$", (DEPLOY / "apply-by-hand").read_text(), re.M)[1]))
        self.assertEqual(without_default("platform") - set.intersection(*sets) - private - required, set())
        account = set(re.findall(r"`(\w+)`", re.search(r"`infra/account/account.tfvars`, which git ignores: (.*?)\.", readme)[1]))
        self.assertEqual(without_default("account") - account, set())
        # Terraform itself would ask for them, or plan without the guard.
        for path in [*(REPO / "infra").rglob("*.md"), *(REPO / "drain-worker").rglob("*.md"), REPO / "README.md"]:
            for command in re.findall(r"terraform [^`\n]*\b(?:apply|plan)\b[^`\n]*", path.read_text()):
                self.assertRegex(command, r"-chdir=infra/account apply -var-file=account.tfvars|^terraform plan$", path)


# Uses Terraform's built-in provider: no account, no network.
@unittest.skipUnless(shutil.which("terraform") and shutil.which("jq"), "terraform or jq is missing")
class Plan(InAFolder):
    ROOT = """
variable "size" { type = number }
variable "password" {
  type      = string
  sensitive = true
}
resource "terraform_data" "it" { input = var.size }
resource "terraform_data" "secret" { input = var.password }
"""

    def setUp(self):
        super().setUp()
        self.root = self.at / "root"
        self.root.mkdir()
        (self.root / "main.tf").write_text(self.ROOT)
        (self.root / "test.tfvars").write_text("")
        # The built-in provider has no entry in it.
        (self.root / ".terraform.lock.hcl").write_text("")
        self.text = self.at / "plan.txt"

    def run_script(self, script, size=1, **more):
        return run(
            script, "test", self.text, SPILLWAY_TERRAFORM_ROOT=str(self.root), TF_VAR_size=str(size),
            TF_VAR_password="geheimnis-tf", TMPDIR=str(self.at), **more,
        )

    def state(self):
        path = self.root / "terraform.tfstate"
        return json.loads(path.read_text())["resources"] if path.exists() else []

    def test_the_approved_plan_is_applied(self):
        code, output = self.run_script("plan")
        self.assertEqual(code, 0, output)
        self.assertIn("terraform_data.it will be created", self.text.read_text())
        self.assertNotIn("geheimnis", output + self.text.read_text())
        self.assertEqual(self.state(), [])
        code, output = self.run_script("apply")
        self.assertEqual(code, 0, output)
        self.assertNotIn("geheimnis", output)
        self.assertEqual(len(self.state()), 2)

    def test_a_provider_without_hashes_is_rejected(self):
        (self.root / ".terraform.lock.hcl").unlink()
        code, output = self.run_script("plan")
        self.assertEqual(code, 1)
        self.assertIn("terraform -chdir=infra/platform providers lock", output)

    def test_variables_come_from_one_secret(self):
        (self.root / "main.tf").write_text(self.ROOT)
        environment = {
            "SPILLWAY_TERRAFORM_ROOT": str(self.root), "TMPDIR": str(self.at),
            "TERRAFORM_VARIABLES": json.dumps({"size": 7, "password": "geheimnis-tf"}),
        }
        code, output = run("with-variables", DEPLOY / "plan", "test", self.text, **environment)
        self.assertEqual(code, 0, output)
        self.assertNotIn("geheimnis", output + self.text.read_text())
        self.assertRegex(self.text.read_text(), r"input += 7")
        # apply applies the saved plan, which contains its variables.
        code, output = run("with-variables", DEPLOY / "apply", "test", self.text, **environment)
        self.assertEqual(code, 0, output)
        for bad in ["", "[]", "no JSON geheimnis"]:
            code, output = run("with-variables", "true", **environment | {"TERRAFORM_VARIABLES": bad})
            self.assertEqual(code, 1)
            self.assertNotIn("geheimnis", output)
        left = {path.name for path in self.at.iterdir()}
        self.assertEqual(left, {"root", "plan.txt"})

    def test_another_plan_is_not_applied(self):
        self.run_script("plan", size=1)
        code, output = self.run_script("apply", size=2)
        self.assertEqual(code, 1)
        self.assertIn("differs from the approved one", output)
        self.assertEqual(self.state(), [])

    def test_no_plan_is_applied_during_a_sale(self):
        self.run_script("plan")
        now = datetime.datetime.now(datetime.timezone.utc)
        day = datetime.timedelta(days=1)
        sales = self.at / "sales.toml"
        for name, opens, closes in [("rehearsal", now - day, now + day), ("sale", now, now + day)]:
            with open(sales, "a") as file:
                file.write(f'[[sales]]\nid = "{name}"\nopens_at = "{opens.isoformat()}"\ncloses_at = "{closes.isoformat()}"\n')
        code, output = self.run_script("apply", SPILLWAY_CATALOGUE_FILE=str(sales))
        self.assertEqual(code, 1)
        self.assertIn("sale is on", output)
        self.assertEqual(self.state(), [])
        code, output = self.run_script("apply", SPILLWAY_CATALOGUE_FILE=str(sales), SPILLWAY_RELEASE_DURING_SALE="yes")
        self.assertEqual(code, 0, output)

    def test_a_dry_run_applies_no_plan(self):
        self.run_script("plan")
        self.assertEqual(self.run_script("apply", SPILLWAY_DEPLOY_DRY_RUN="yes")[0], 0)
        self.assertEqual(self.state(), [])

    def test_the_saved_plan_is_deleted(self):
        self.run_script("plan")
        left = [path for path in self.at.rglob("*") if path.is_file() and b"geheimnis" in path.read_bytes()]
        self.assertEqual(left, [])
        self.assertEqual({path.name for path in self.at.iterdir()}, {"root", "plan.txt"})

    def test_a_failed_plan_is_an_error(self):
        (self.root / "main.tf").write_text('resource "terraform_data" "it" { input = var.missing }')
        self.assertEqual(self.run_script("plan")[0], 1)
