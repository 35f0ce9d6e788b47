"""The runner's service: a registration for each job, and nothing of one job in the next."""

import http.server
import json
import os
import signal
import subprocess
import threading
import unittest

from world import REPO, World

SERVE = REPO / "infra/modules/runner/serve"


class Runner(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)
        cloud = self.world.cloud()
        cloud["secrets"] = {"runner-token": "geheimnis-github"}
        self.world.write(cloud)
        self.asked = asked = []
        self.refusals = refusals = []

        class GitHub(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                asked.append((self.path, self.headers["authorization"], body))
                code, answer = (refusals.pop(), {}) if refusals else (201, {"encoded_jit_config": f"configuration-{len(asked)}"})
                data = json.dumps(answer).encode()
                self.send_response(code)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), GitHub)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.folder = self.world.at / "runner"
        self.folder.mkdir()

    def serve(self, jobs: list[int], scope="repos/acme/shop"):
        """Serves as many jobs as there are exit codes; each leaves a file in the workspace. Returns what each saw, and the log."""
        seen = self.world.at / "seen"
        seen.touch()
        (self.folder / "run.sh").write_text(
            "#!/bin/bash\n"
            f"codes=({' '.join(map(str, jobs))})\n"
            f"number=$(wc -l <{seen})\n"
            f"printf '%s\\t%s\\t%s\\n' \"$*\" \"$(ls {self.folder}/_work | paste -sd ,)\" \"$(env | cut -d= -f1 | sort | paste -sd ,)\" >>{seen}\n"
            f"touch {self.folder}/_work/left\n"
            f"((number + 1 < {len(jobs)})) || kill -TERM $PPID\n"
            "exit ${codes[number]}\n"
        )
        (self.folder / "run.sh").chmod(0o755)
        process = subprocess.Popen(
            [SERVE],
            env=self.world.environment(
                SCOPE=scope, RUNNER_NAME="spillway-prod", RUNNER_GROUP_ID="3", LABELS='["self-hosted","spillway-vpc"]',
                REGION="cn-hangzhou", TOKEN_PARAMETER="runner-token", GITHUB_API=f"http://127.0.0.1:{self.server.server_address[1]}",
                RUNNER_FOLDER=str(self.folder), RUNNER_HOME=str(self.world.at), RUN_AS="", PAUSE_S="0.05",
            ),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )
        try:
            log, _ = process.communicate(timeout=60)
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return [line.split("\t") for line in seen.read_text().splitlines()], log

    def test_each_job_has_a_registration_of_its_own_and_an_empty_workspace(self):
        seen, log = self.serve([0, 0])
        # GitHub's REST documentation of "generate-jitconfig" (2022-11-28): path, members, and the answer's.
        for path, authorization, body in self.asked[:2]:
            self.assertEqual(path, "/repos/acme/shop/actions/runners/generate-jitconfig")
            self.assertEqual(authorization, "Bearer geheimnis-github")
            self.assertEqual((body["runner_group_id"], body["labels"]), (3, ["self-hosted", "spillway-vpc"]))
        self.assertEqual(len({body["name"] for _, _, body in self.asked}), len(self.asked))
        self.assertEqual([(arguments, files) for arguments, files, _ in seen], [("--jitconfig configuration-1", ""), ("--jitconfig configuration-2", "")])
        self.assertNotIn("geheimnis", log)

    def test_an_organisation_registers_its_own_runners(self):
        # The same page: "Create configuration for a just-in-time runner for an organization".
        self.serve([0], scope="orgs/acme")
        self.assertEqual(self.asked[0][0], "/orgs/acme/actions/runners/generate-jitconfig")

    def test_a_job_gets_no_setting_of_the_service(self):
        seen, _ = self.serve([0])
        self.assertEqual(set(seen[0][2].split(",")) - {"PWD", "SHLVL", "_", "OLDPWD"}, {"HOME", "PATH"})

    def test_refused_registrations_are_repeated_after_a_pause(self):
        self.refusals += [403, 502]
        seen, log = self.serve([0])
        self.assertEqual(len(seen), 1)
        self.assertEqual(log.count("no registration"), 2)

    def test_a_runner_that_fails_gets_another_registration(self):
        seen, log = self.serve([7, 0])
        self.assertEqual(len(seen), 2)
        self.assertIn("ended with code 7", log)
