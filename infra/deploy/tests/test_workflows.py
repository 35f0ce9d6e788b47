"""Checks of the workflows beyond a linter: pins, rights, order, and that the called scripts exist."""

import json
import os
import re
import subprocess
import textwrap
import unittest

from world import REPO, World

FOLDER = REPO / ".github/workflows"

# Suffix of the environment's name, by job.
ENVIRONMENTS = {"build": "-build", "plan": "-plan", "apply": "-apply", "release": ""}


def jobs(text: str) -> dict[str, str]:
    """Text of each job by name: blocks indented by two spaces below `jobs:`."""
    body = text.split("\njobs:\n", 1)[1]
    parts = re.split(r"^  ([a-z_-]+):\n", body, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


class Workflows(unittest.TestCase):
    def setUp(self):
        self.texts = {path.name: path.read_text() for path in sorted(FOLDER.glob("*.yml"))}
        self.deploy = self.texts["deploy.yml"]
        self.assertEqual(set(self.texts), {"certificate.yml", "ci.yml", "deploy.yml"})

    def test_actions_are_pinned_by_commit(self):
        for name, text in self.texts.items():
            uses = re.findall(r"uses: (.*)", text)
            self.assertTrue(uses)
            for it in uses:
                self.assertRegex(it, r"^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", name)
        # Each version has one commit.
        versions = {tuple(it.split(" # ")) for text in self.texts.values() for it in re.findall(r"uses: (.*)", text)}
        self.assertEqual(len({pin.split("@")[0] for pin, _ in versions}), len(versions))

    def test_write_rights_are_explicit(self):
        self.assertIn("\npermissions:\n  contents: read\n", self.texts["ci.yml"])
        self.assertIn("\npermissions: {}\n", self.deploy)
        for name, text in self.texts.items():
            for right in re.findall(r"^ +([a-z-]+): write$", text, flags=re.M):
                self.assertIn((name, right), [("deploy.yml", "id-token"), ("certificate.yml", "issues")])
            self.assertNotIn("pull_request_target", text)
            self.assertEqual(text.count("uses: actions/checkout@"), text.count("persist-credentials: false"))

    def test_only_jobs_with_a_login_may_request_a_token(self):
        for name, text in jobs(self.deploy).items():
            with self.subTest(name):
                self.assertEqual("id-token: write" in text, "configure-aliyun-credentials-action@" in text)
                # The role's trust policy names the environment.
                if "id-token: write" in text:
                    self.assertRegex(text, r"environment: \$\{\{ inputs\.environment \}\}")

    def test_there_are_no_permanent_keys(self):
        secrets = set(re.findall(r"secrets\.(\w+)", "".join(self.texts.values())))
        self.assertEqual(secrets, {"TERRAFORM_VARIABLES", "SPILLWAY_SMOKE_TOKEN"})
        for text in self.texts.values():
            self.assertNotRegex(text, r"(?i)access[-_]key[-_](id|secret):")

    def test_changes_need_an_approval(self):
        parts = jobs(self.deploy)
        self.assertEqual(set(parts), {"compile", *ENVIRONMENTS})
        for name, environment in ENVIRONMENTS.items():
            self.assertIn(f"    environment: ${{{{ inputs.environment }}}}{environment}\n", parts[name])
        for name in ["compile", "build", "plan"]:
            self.assertNotRegex(parts[name], r"infra/deploy/(apply|release|rollback|migrate)")

    def test_every_job_has_its_own_role(self):
        # The role that may change everything trusts an environment of one job only.
        roles = {"build": "ALIBABA_ROLE_ARN", "plan": "ALIBABA_PLAN_ROLE_ARN", "apply": "ALIBABA_APPLY_ROLE_ARN",
                 "release": "ALIBABA_ROLE_ARN"}
        for name, text in jobs(self.deploy).items():
            if name == "compile":
                continue
            self.assertEqual(set(re.findall(r"role-to-assume: \$\{\{ vars\.(\w+) \}\}", text)), {roles[name]}, name)
        self.assertEqual(len(set(ENVIRONMENTS.values())), len(ENVIRONMENTS))

    def test_code_of_others_runs_without_a_token(self):
        # Every step of a job with `id-token: write` may ask for a token (GitHub's documentation of OIDC), build scripts
        # and macros of dependencies included, and an environment is in the token's subject.
        for name, text in jobs(self.deploy).items():
            with self.subTest(name):
                if re.search(r"cargo|rustup|infra/image/(build|sbom)", text):
                    self.assertNotIn("id-token", text)
                    self.assertNotRegex(text, r"^    environment:", name)
        self.assertIn("infra/image/build", jobs(self.deploy)["compile"])

    def test_ci_has_passed_on_main(self):
        # A run for a pull request has the same commit and may be of other workflow text.
        for text in re.findall(r"gh run list(?:.*\\\n)*.*", self.deploy):
            for flag in ["--branch main", "--event push", "--status success"]:
                self.assertIn(flag, text)

    def test_jobs_with_check_window_have_the_git_history(self):
        parts = jobs(self.deploy)
        for name, script in [("apply", "infra/deploy/apply"), ("release", "infra/deploy/release")]:
            self.assertIn("check-window", (REPO / script).read_text())
            self.assertIn("          fetch-depth: 0\n", parts[name])

    def test_the_state_is_outside_the_workspace(self):
        release = jobs(self.deploy)["release"]
        self.assertNotIn("github.workspace", release)
        self.assertNotIn("rm -rf", release)
        begin = release.index('infra/deploy/release-state begin "$ENVIRONMENT" >>"$GITHUB_ENV"')
        # A run undoes only its own changes: without its own state file it undoes none.
        self.assertLess(begin, release.index("infra/deploy/release --state"))
        guards = re.findall(r"^ +if: (.*(?:failure|always)\(\).*)$", release, flags=re.M)
        self.assertEqual(len(guards), 4)
        for guard in guards:
            self.assertTrue(guard.endswith(" && env.STATE != ''"), guard)
        # The folder is deleted last, after the upload of the artifact.
        upload = release.index("upload-artifact@")
        self.assertIn("path: ${{ env.STATE_FOLDER }}", release[upload:])
        end = release.index("infra/deploy/release-state end")
        self.assertLess(upload, end)
        for outcome in ["steps.release.outcome == 'success'", "steps.undo.outcome == 'skipped'", "steps.upload.outcome == 'success'"]:
            self.assertIn(outcome, release[upload:end])

    def test_the_schema_can_be_migrated_before_there_are_workers(self):
        steps = re.split(r"^      - ", jobs(self.deploy)["release"], flags=re.M)
        schema, release = (next(it for it in steps if f"name: {name}\n" in it) for name in ["schema", "release"])
        self.assertIn("if: inputs.infrastructure && !inputs.schema_only\n", jobs(self.deploy)["plan"])
        self.assertIn("(inputs.release || inputs.schema_only)", jobs(self.deploy)["release"])
        self.assertIn("if: inputs.schema_only\n", schema)
        self.assertIn("if: ${{ !inputs.schema_only }}\n", release)
        # Not during a sale, as a release: `init` writes stock, and a migration takes the database's time.
        self.assertIn('infra/deploy/check-window "$SPILLWAY_CATALOGUE_FILE"\n          infra/deploy/migrate "$WORKER_IMAGE"\n', schema)
        for name in ["SPILLWAY_CATALOGUE_FILE", "SPILLWAY_RELEASE_DURING_SALE"]:
            line = re.search(rf"^ +{name}: .*$", release, re.M)[0]
            self.assertIn(f"{line}\n", schema)
        # What the script requires, by its own text.
        required = re.search(r"^require ((?:.*\\\n)*.*)$", (REPO / "infra/deploy/migrate").read_text(), re.M)[1]
        for name in re.findall(r"SPILLWAY_\w+", required):
            self.assertIn(name, schema + self.deploy.split("\njobs:\n")[0])

    def test_a_session_is_as_long_as_its_job_and_not_longer_than_its_role_allows(self):
        # "Set the maximum session duration for a RAM role": 3600 to 43200 seconds; a longer request is refused.
        longest = dict(re.findall(r"(\w+) = (\d+)", re.search(r"session_s = \{(.*?)\}", (REPO / "infra/modules/ram/main.tf").read_text())[1]))
        for job, role in [("build", "build"), ("plan", "plan"), ("apply", "apply"), ("release", "deploy")]:
            text = jobs(self.deploy)[job]
            limit = 60 * int(re.search(r"^    timeout-minutes: (\d+)$", text, re.M)[1])
            first, *later = [int(it) for it in re.findall(r"role-session-expiration: (\d+)", text)]
            with self.subTest(job):
                self.assertEqual(len([first, *later]), text.count("configure-aliyun-credentials-action@"))
                self.assertGreaterEqual(first, limit)
                self.assertLessEqual(max([first, *later]), int(longest.get(role, 3600)))
        self.assertTrue(all(3600 <= int(it) <= 43200 for it in longest.values()))

    def test_a_failing_certificate_opens_one_issue(self):
        world = World()
        self.addCleanup(world.close)
        script = re.search(r"name: open an issue\n.*?        run: \|\n(.*)", self.texts["certificate.yml"], re.S)[1]
        for _ in range(2):
            done = subprocess.run(
                ["bash", "-e", "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60,
                env=world.environment(GITHUB_REPOSITORY="acme/shop", GITHUB_SERVER_URL="https://github.example", GITHUB_RUN_ID="1"),
            )
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(json.loads((world.at / "github.json").read_text())["issues"]), 1)

    def test_deploys_never_overlap(self):
        self.assertIn("group: deploy-${{ inputs.environment }}\n  cancel-in-progress: false", self.deploy)

    def test_the_jobs_run_in_order(self):
        parts = jobs(self.deploy)
        self.assertIn("needs: compile\n", parts["build"])
        self.assertIn("needs: build\n", parts["plan"])
        self.assertIn("needs: [build, plan]\n", parts["apply"])
        self.assertIn("needs: [build, apply]\n", parts["release"])
        self.assertIn("GITHUB_STEP_SUMMARY", parts["plan"])
        release, undo = (parts["release"].index(f"infra/deploy/{it} ") for it in ["release", "rollback"])
        self.assertLess(release, undo)

    def test_called_scripts_exist(self):
        for text in self.texts.values():
            called = set(re.findall(r"(?<![\w/.])((?:infra|\.ci)/[\w/-]+)(?![\w.])", text)) - {"infra/check"}
            self.assertTrue(called)
            for path in called:
                # A Dockerfile is read, all others are run.
                self.assertTrue(os.access(REPO / path, os.R_OK if path.endswith("/Dockerfile") else os.X_OK), path)

    def test_scripts_contain_no_expressions(self):
        for text in self.texts.values():
            for script in re.findall(r"run: \|\n((?: {10,}.*\n|\n)+)|run: (?!\|)(.*)", text):
                self.assertNotIn("${{", "".join(script))

    def test_every_setting_of_deploy_is_in_the_readme(self):
        readme = (REPO / "infra/deploy/README.md").read_text()
        for name in set(re.findall(r"(?:vars|secrets)\.(\w+)", self.deploy)):
            self.assertIn(f"`{name}`", readme)

    def test_the_readme_has_the_environment_of_every_setting(self):
        readme = (REPO / "infra/deploy/README.md").read_text()
        rows = {}
        for names, where in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([^|]+) \|", readme, flags=re.M):
            for name in re.findall(r"`(\w+)`", names):
                rows[name] = where
        places = {"-build": "build", "-plan": "plan", "-apply": "apply", "": "release"}
        everywhere = re.findall(r"vars\.(\w+)", self.deploy.split("\njobs:\n")[0])
        found = {}
        for job, text in jobs(self.deploy).items():
            if job not in ENVIRONMENTS:
                continue
            for name in [*everywhere, *re.findall(r"(?:vars|secrets)\.(\w+)", text)]:
                found.setdefault(name, set()).add(places[ENVIRONMENTS[job]])
        for name, wanted in found.items():
            with self.subTest(name):
                where = rows[name].removeprefix("secret: ")
                if where != "repository":
                    self.assertEqual(where, ", ".join(it for it in ["build", "plan", "apply", "release"] if it in wanted))

    def test_the_readme_has_the_runners_requirements(self):
        readme = (REPO / "infra/deploy/README.md").read_text()
        self.assertIn("docker, jq, curl, git, python3 3.11 or later", readme)
