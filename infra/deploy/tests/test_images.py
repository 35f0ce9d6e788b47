"""build-and-push pushes the checked images, install-cli checks the CLI, and every script has its documentation."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile
import unittest

from world import DEPLOY, REGISTRY, REPO, SECRETS, World


@unittest.skipUnless(shutil.which("buildah") and shutil.which("musl-gcc"), "buildah or musl-gcc is missing")
class Push(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)
        self.at = self.world.at
        # A separate checkout, because this one may have uncommitted changes.
        self.checkout = self.at / "checkout"
        for folder in ["infra/deploy", "infra/image"]:
            shutil.copytree(REPO / folder, self.checkout / folder, ignore=shutil.ignore_patterns("tests", "__pycache__"))
        shutil.copy(REPO / "Cargo.toml", self.checkout / "Cargo.toml")
        self.git("init", "-q")
        self.git("add", "-A")
        self.git("-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "x")
        source = self.at / "program.c"
        source.write_text("int main(void) { return 0; }\n")
        (self.at / "binaries").mkdir()
        for service in ["ingest-fn", "drain-worker"]:
            subprocess.run(["musl-gcc", "-s", "-static", "-o", self.at / "binaries" / service, source], check=True)
        self.catalogue = DEPLOY / "catalogues/rehearsal.toml"

    def git(self, *arguments):
        subprocess.run(["git", "-C", self.checkout, *arguments], check=True, capture_output=True)

    def push(self, **environment):
        result = subprocess.run(
            [self.checkout / "infra/deploy/build-and-push", "--binaries", self.at / "binaries", self.catalogue],
            env=self.world.environment(SPILLWAY_IMAGE_DIR=str(self.at / "image"), **environment),
            capture_output=True, text=True, timeout=120,
        )
        return result.returncode, result.stdout, result.stderr

    def test_images_are_pushed_with_the_catalogue_and_printed_by_digest(self):
        code, output, errors = self.push()
        self.assertEqual(code, 0, errors)
        lines = dict(line.split("=", 1) for line in output.splitlines())
        self.assertEqual(set(lines), {"ingest_image", "worker_image"})
        for name, service in [("ingest_image", "ingest-fn"), ("worker_image", "drain-worker")]:
            with tarfile.open(self.at / f"image/{service}.oci.tar") as archive:
                index = json.load(archive.extractfile("index.json"))
            self.assertEqual(lines[name], f"{REGISTRY}/{service}@{index['manifests'][0]['digest']}")
        login, *others = self.world.lines("pushes")
        self.assertEqual(login["stdin"], SECRETS["registry"])
        copies = self.copies()
        self.assertEqual(len(copies), 2)
        for copy in copies:
            self.assertIn("--preserve-digests", copy["arguments"])
            catalogue = hashlib.sha256(self.catalogue.read_bytes()).hexdigest()[:12]
            self.assertRegex(copy["arguments"][-1], rf"^docker://{re.escape(REGISTRY)}/[a-z-]+:[0-9a-f]{{12}}-{catalogue}$")
        for text in [output, errors, *(str(it["arguments"]) for it in self.world.lines("pushes"))]:
            self.assertNotIn("geheimnis", text)

    def copies(self):
        return [it for it in self.world.lines("pushes") if it["arguments"][0] == "copy"]

    def test_existing_images_are_used_again(self):
        # Tags are immutable, and a commit must be deployable twice: to a second environment or after a failure.
        first = self.push()
        self.assertEqual(first[0], 0, first)
        shutil.rmtree(self.at / "image")
        again = self.push()
        self.assertEqual((again[0], again[1]), (0, first[1]), again)
        self.assertEqual(len(self.copies()), 2)
        # No build either.
        self.assertFalse((self.at / "image").exists())

    def test_a_partial_push_is_completed(self):
        (self.at / "push-fails").write_text("drain-worker")
        self.assertEqual(self.push()[0], 1)
        (self.at / "push-fails").unlink()
        code, output, errors = self.push()
        self.assertEqual(code, 0, errors)
        self.assertEqual(len(output.splitlines()), 2)
        registry = json.loads((self.at / "registry.json").read_text())
        self.assertEqual(len(registry), 2)

    def test_another_catalogue_makes_another_image(self):
        self.assertEqual(self.push()[0], 0)
        self.catalogue = self.at / "sales.toml"
        self.catalogue.write_text((DEPLOY / "catalogues/rehearsal.toml").read_text() + "# another\n")
        self.assertEqual(self.push()[0], 0)
        self.assertEqual(len(json.loads((self.at / "registry.json").read_text())), 4)

    def test_a_push_without_a_login_fails(self):
        code, output, errors = self.push(SPILLWAY_REGISTRY_INSTANCE="")
        self.assertEqual((code, output), (1, ""))
        self.assertIn("unauthorized", errors)

    def test_images_can_be_printed_by_tag(self):
        _, output, _ = self.push(SPILLWAY_IMAGE_REF="tag")
        self.assertRegex(output, rf"ingest_image={re.escape(REGISTRY)}/ingest-fn:[0-9a-f]{{12}}-[0-9a-f]{{12}}\n")

    def test_pulls_can_use_another_address(self):
        pull = "spillway-vpc.example.com/prod"
        _, plain, _ = self.push()
        code, output, errors = self.push(SPILLWAY_REGISTRY_PULL=pull)
        self.assertEqual(code, 0, errors)
        self.assertEqual(output, plain.replace(REGISTRY, pull))
        self.assertNotEqual(output, plain)
        _, output, _ = self.push(SPILLWAY_REGISTRY_PULL=pull, SPILLWAY_IMAGE_REF="tag")
        self.assertIn(f"worker_image={pull}/drain-worker:", output)
        # Pushes and look-ups of tags use the push address.
        self.assertNotIn(pull, str(self.world.lines("pushes")))
        # Empty, as from an undefined variable of the workflow.
        self.assertEqual(self.push(SPILLWAY_REGISTRY_PULL="")[1], plain)

    def test_uncommitted_changes_are_rejected(self):
        with open(self.checkout / "infra/image/Dockerfile", "a") as file:
            file.write("# changed\n")
        code, _, errors = self.push()
        self.assertEqual(code, 1)
        self.assertIn("not committed", errors)
        self.assertEqual(self.world.lines("pushes"), [])

    def test_no_image_is_pushed_if_a_check_fails(self):
        with open(self.at / "binaries/drain-worker", "ab") as file:
            file.write(os.urandom(1 << 20) * 20)
        self.assertNotEqual(self.push()[0], 0)
        self.assertEqual(self.copies(), [])

    def test_a_dry_run_pushes_no_image(self):
        code, output, _ = self.push(SPILLWAY_DEPLOY_DRY_RUN="yes")
        self.assertEqual((code, output), (0, ""))
        self.assertEqual(self.copies(), [])


class InstallCli(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.at = pathlib.Path(folder.name)
        (self.at / "aliyun").write_text("#!/bin/sh\necho here\n")
        (self.at / "aliyun").chmod(0o755)
        self.archive = self.at / "aliyun-cli-linux-3.4.11-amd64.tgz"
        with tarfile.open(self.archive, "w:gz") as archive:
            archive.add(self.at / "aliyun", "aliyun")

    def install(self, digest, version="3.4.11"):
        environment = {
            "PATH": os.environ["PATH"], "ALIYUN_CLI_BASE": f"file://{self.at}", "ALIYUN_CLI_VERSION": version,
            "ALIYUN_CLI_SHA256": digest,
        }
        return subprocess.run([DEPLOY / "install-cli", self.at / "bin"], env=environment, capture_output=True).returncode

    def test_install_cli_requires_the_expected_checksum(self):
        good = hashlib.sha256(self.archive.read_bytes()).hexdigest()
        for digest, version in [("0" * 64, "3.4.11"), ("", "3.4.11"), (good, "latest"), (good, "3.4.12")]:
            self.assertNotEqual(self.install(digest, version), 0)
            self.assertFalse((self.at / "bin/aliyun").exists())
        self.assertEqual(self.install(good), 0)
        self.assertEqual(subprocess.run([self.at / "bin/aliyun"], capture_output=True, text=True).stdout, "here\n")


class Scripts(unittest.TestCase):
    def scripts(self):
        return [it for it in DEPLOY.iterdir() if it.is_file() and os.access(it, os.X_OK)]

    def test_every_script_has_help(self):
        self.assertGreaterEqual(len(self.scripts()), 12)
        for script in self.scripts():
            with self.subTest(script.name):
                result = subprocess.run([script, "--help"], capture_output=True, text=True)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertIn(f"infra/deploy/{script.name}", result.stdout)
                self.assertNotIn("set -euo", result.stdout)

    def test_every_script_is_in_the_readme(self):
        readme = (DEPLOY / "README.md").read_text()
        for script in self.scripts():
            self.assertIn(f"`{script.name}`", readme)

    def test_every_setting_is_in_the_readme(self):
        readme = (DEPLOY / "README.md").read_text()
        for script in [*self.scripts(), *DEPLOY.glob("*.sh")]:
            for name in re.findall(r"\b(?:SPILLWAY|ALIYUN)_[A-Z0-9_]*[A-Z0-9]\b", script.read_text()):
                self.assertIn(f"`{name}`", readme, script.name)
