"""A release changes readers before writers, and undoes its changes in reverse order if a step fails."""

import os
import pathlib
import signal
import time
import unittest

from world import NEW_INGEST, NEW_WORKER, OLD_ALIAS, OLD_INGEST, OLD_WORKER, SAE, SECRETS, World

FORWARD = [
    ("workers", NEW_WORKER),
    ("function", NEW_INGEST),
    ("publish",),
    ("alias", "1", {"2": 0.5}),
    ("alias", "2", {}),
]
BACK = {
    "alias": ("alias", "1", {}),
    "function": ("function", OLD_INGEST),
    "workers": ("workers", OLD_WORKER),
}


class Case(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)

    def await_while_it_runs(self, process, is_there):
        deadline = time.monotonic() + 120
        while not is_there():
            self.assertIsNone(process.poll(), "it has ended before")
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def assert_no_secret(self, *texts):
        for text in [*texts, *map(str, self.world.calls())]:
            for secret in SECRETS.values():
                self.assertNotIn(secret, text)


class Forward(Case):
    def test_readers_go_before_writers(self):
        code, _, errors = self.world.release()
        self.assertEqual(code, 0, errors)
        self.assertEqual(self.world.changes(), FORWARD)
        steps = [line.split()[1] for line in errors.splitlines() if line.startswith("== ")]
        self.assertEqual(
            steps[:-1],
            ["check_canary", "smoke", "migrate", "roll-workers", "smoke", "publish-function", "shift-traffic", "smoke",
             "shift-traffic", "smoke"],
        )
        self.assertEqual([it["arguments"][-2:] for it in self.world.lines("containers")],
                         [[NEW_WORKER, "migrate"], [NEW_WORKER, "init"]])

    def test_only_the_image_of_the_function_changes(self):
        self.world.release()
        container = self.world.cloud()["functions"]["ingest"]["container"]
        self.assertEqual(container, {"image": NEW_INGEST, "port": 9000, "healthCheckConfig": {"httpGetUrl": "/healthz"}})

    def test_orders_reach_the_canary_before_it_gets_all_requests(self):
        self.world.release()
        versions = [it["version"] for it in self.world.orders]
        # One before any change, one with the new workers, 10 for a canary of weight 0.5, and one at the end.
        self.assertEqual(len(versions), 2 + 10 + 1)
        self.assertEqual((*versions[:2], versions[-1]), ("1", "1", "2"))
        self.assertIn("2", versions[2:-1])
        self.assertEqual({it["body"]["sale_id"] for it in self.world.orders}, {"rehearsal"})
        self.assertEqual(len({it["key"] for it in self.world.orders}), len(versions))

    def test_a_successful_release_can_be_rolled_back(self):
        self.assertEqual(self.world.release()[0], 0)
        code, _, errors = self.world.run("rollback", self.world.state_file())
        self.assertEqual(code, 0, errors)
        self.assertEqual(self.world.changes()[len(FORWARD):], [BACK["alias"], BACK["function"], BACK["workers"]])
        self.assertEqual(self.world.as_before(), {})
        # A second rollback makes no change.
        self.assertEqual(self.world.run("rollback", self.world.state_file())[0], 0)
        self.assertEqual(len(self.world.changes()), len(FORWARD) + 3)

    def test_completed_steps_are_skipped(self):
        cloud = self.world.cloud()
        cloud["workers"]["app-1"] = NEW_WORKER
        self.world.write(cloud)
        self.assertEqual(self.world.release()[0], 0)
        self.assertEqual(self.world.changes(), FORWARD[1:])

    def test_a_dry_run_changes_nothing(self):
        code, _, errors = self.world.run(
            "release", "--dry-run", "--state", self.world.state_file(), NEW_INGEST, NEW_WORKER
        )
        self.assertEqual(code, 0, errors)
        self.assertEqual(self.world.changes(), [])
        self.assertEqual(self.world.lines("containers"), [])
        self.assertEqual(self.world.orders, [])
        self.assertFalse(self.world.state_file().exists())
        for word in ["would run", "deployApplication", NEW_INGEST, "versions", "aliases", "would post"]:
            self.assertIn(word, errors)
        self.assert_no_secret(errors)

    def test_no_secret_is_shown(self):
        _, output, errors = self.world.release()
        self.assert_no_secret(output, errors)
        for container in self.world.lines("containers"):
            self.assertNotIn("geheimnis", str(container["arguments"]))
            self.assertNotIn("geheimnis", str(self.world.lines("logins")))
            # The container gets them.
            self.assertEqual(container["environment"]["SPILLWAY_DATABASE_URL"], SECRETS["migrator-url"])
            self.assertEqual(container["environment"]["SPILLWAY_ROCKETMQ_SECRET_KEY"], SECRETS["worker-mq"])

    def test_the_container_cannot_ask_for_the_machines_role(self):
        # The machine rejects the metadata's address for containers behind the engine's bridge (modules/runner), not on its own network.
        self.world.release()
        containers = self.world.lines("containers")
        self.assertEqual(len(containers), 2)
        for container in containers:
            self.assertFalse({"--network", "--net", "--network=host", "--net=host", "--privileged"} & set(container["arguments"]))

    def test_a_private_image_is_pulled_with_a_temporary_login(self):
        code, _, errors = self.world.run("migrate", NEW_WORKER)
        self.assertEqual(code, 0, errors)
        (login,) = self.world.lines("logins")
        self.assertEqual(login["arguments"][-1], "spillway.example.com")
        self.assertFalse(pathlib.Path(login["stored"]).exists())
        # The user's own logins are unchanged.
        self.assertFalse(login["stored"].startswith(os.environ["HOME"]))
        code, _, errors = self.world.run("migrate", NEW_WORKER, SPILLWAY_REGISTRY_INSTANCE="")
        self.assertEqual(code, 1)
        self.assertIn("pull access denied", errors)

    def test_the_login_uses_the_host_of_pulls(self):
        # Not the host of pushes.
        code, _, errors = self.world.run("migrate", NEW_WORKER.replace("spillway.", "spillway-vpc."))
        self.assertEqual(code, 0, errors)
        self.assertEqual(self.world.lines("logins")[0]["arguments"][-1], "spillway-vpc.example.com")

    def test_a_release_does_not_start_with_a_leftover_canary(self):
        cloud = self.world.cloud()
        function = cloud["functions"]["ingest"]
        function["versions"]["2"] = NEW_INGEST
        function["aliases"]["live"] = {"versionId": "1", "additionalVersionWeight": {"2": 0.1}}
        self.world.write(cloud)
        for options in [[], ["--dry-run"], ["--repair"]]:
            with self.subTest(options):
                code, _, errors = self.world.release(*options)
                self.assertEqual(code, 1, errors)
                self.assertIn("version 1 with version 2 (0.1)", errors)
                self.assertIn("infra/deploy/rollback FILE", errors)
                self.assertIn("infra/deploy/shift-traffic VERSION 1", errors)
        self.assertEqual(self.world.changes(), [])
        self.assertEqual(self.world.orders, [])
        self.assertEqual(self.world.lines("containers"), [])
        # The command of the message resolves it.
        self.assertEqual(self.world.run("shift-traffic", "1", "1")[0], 0)
        code, _, errors = self.world.release()
        self.assertEqual(code, 0, errors)

    def test_a_weight_of_zero_is_not_a_canary(self):
        cloud = self.world.cloud()
        cloud["functions"]["ingest"]["aliases"]["live"] = {"versionId": "1", "additionalVersionWeight": {"1": 0}}
        self.world.write(cloud)
        self.assertEqual(self.world.run("release", "--dry-run", "--state", self.world.state_file(), NEW_INGEST, NEW_WORKER)[0], 0)

    def test_a_release_does_not_start_with_invalid_arguments(self):
        state = self.world.state_file()
        for arguments, environment in [
            (["--state", state, NEW_INGEST], {}),
            ([NEW_INGEST, NEW_WORKER], {}),
            (["--state", state, NEW_INGEST, "example.com/prod/drain-worker:latest"], {}),
            (["--state", state, NEW_INGEST, "example.com/prod/drain-worker:v1"], {}),
            (["--state", state, "example.com/x@sha256:abc", NEW_WORKER], {}),
            (["--state", state, NEW_INGEST, NEW_WORKER], {"SPILLWAY_CANARY_WEIGHT": "1.5"}),
            (["--state", state, NEW_INGEST, NEW_WORKER], {"SPILLWAY_CANARY_WEIGHT": "0"}),
            (["--state", state, NEW_INGEST, NEW_WORKER], {"SPILLWAY_REGION": ""}),
            (["--state", state, NEW_INGEST, NEW_WORKER], {"SPILLWAY_SMOKE_URL": ""}),
        ]:
            with self.subTest(arguments=arguments, **environment):
                self.assertEqual(self.world.run("release", *arguments, **environment)[0], 1)
        self.assertEqual(self.world.calls(), [])
        state.write_text("workers\tsomething\n")
        self.assertEqual(self.world.release()[0], 1)
        self.assertEqual(self.world.calls(), [])


class Failure(Case):
    def expected_back(self, done):
        """Rollback steps, in reverse order, of changes that were made or may have been made."""
        kinds = {change[0] for change in done} - {"publish"}
        return [BACK[kind] for kind in ["alias", "function", "workers"] if kind in kinds]

    def effects(self, changes, failed):
        return [change for number, change in enumerate(changes) if number not in failed]

    def count_of_calls(self):
        world = World()
        try:
            self.assertEqual(world.release()[0], 0)
            return len(world.calls())
        finally:
            world.close()

    def test_a_failure_of_any_call_is_undone(self):
        for kind in ["fail", "lose"]:
            for number in range(1, self.count_of_calls() + 1):
                with self.subTest(kind=kind, number=number):
                    world = World()
                    try:
                        world.plan(**{kind: [number]})
                        code, _, errors = world.release()
                        self.assertEqual(code, 1, errors)
                        self.assertEqual(world.as_before(), {}, errors)
                        self.assertEqual(world.state_file().read_text() if world.state_file().exists() else "", "")
                        self.assert_undone(world, number, kind)
                    finally:
                        world.close()

    def assert_undone(self, world, number, kind):
        """Exactly the changes that took effect are undone, in reverse order."""
        calls, changes = world.calls(), world.changes()
        forward = self.forward(world, calls[:number])
        took_effect = forward if kind == "lose" else self.forward(world, calls[: number - 1])
        back = [change for change in changes[len(forward):] if change != ("abort",)]
        self.assertEqual(back, self.expected_back(took_effect))

    @staticmethod
    def forward(world, calls):
        before, world.calls = world.calls, lambda: calls
        try:
            return world.changes()
        finally:
            world.calls = before

    def test_read_calls_are_retried(self):
        self.world.plan(fail=[1, 3, 7])
        code, _, errors = self.world.release(SPILLWAY_DEPLOY_ATTEMPTS="3")
        self.assertEqual(code, 0, errors)

    def test_a_failed_migration_stops_the_release(self):
        for step in ["migrate", "init"]:
            with self.subTest(step):
                (self.world.at / "container-fails").write_text(step)
                self.assertEqual(self.world.release()[0], 1)
                self.assertEqual(self.world.changes(), [])

    def test_a_change_order_that_ends_badly_is_undone(self):
        for state in set(SAE["final"]) - {"succeeded"}:
            with self.subTest(state):
                world = World()
                self.addCleanup(world.close)
                world.plan(orders=["running", state])
                code, _, errors = world.release()
                self.assertEqual(code, 1, errors)
                self.assertEqual(world.changes(), [("workers", NEW_WORKER), ("workers", OLD_WORKER)])

    def test_a_change_order_that_has_not_ended_is_waited_for(self):
        for state in set(SAE["change_order"]) - set(SAE["final"]):
            with self.subTest(state):
                world = World()
                self.addCleanup(world.close)
                world.plan(orders=[state, state, "succeeded"])
                code, _, errors = world.release()
                self.assertEqual(code, 0, errors)
                self.assertEqual("waits for a person" in errors, state in ["waiting for a person between batches", "waiting for approval"])

    def test_a_change_order_that_stays_is_aborted(self):
        for state in ["stuck", "running", "waiting for a person between batches"]:
            with self.subTest(state):
                world = World()
                self.addCleanup(world.close)
                world.plan(orders=[state])
                # The same bound holds for the rollback, which takes seconds on a busy machine.
                code, _, errors = world.release(SPILLWAY_WORKER_DEADLINE_S="10")
                self.assertEqual(code, 1, errors)
                self.assertIn("is stuck" if state == "stuck" else "not done in time", errors)
                self.assertEqual(world.changes(), [("workers", NEW_WORKER), ("abort",), ("workers", OLD_WORKER)])

    def test_a_scaling_policy_stops_the_release(self):
        self.world.plan(policy=True)
        code, _, errors = self.world.release()
        self.assertEqual(code, 1, errors)
        self.assertIn("a scaling policy is enabled", errors)
        self.assertEqual(self.world.as_before(), {})

    def test_a_failed_or_hanging_update_of_the_function(self):
        for fate, why in [("fail", "the update failed"), ("never", "not done in time")]:
            with self.subTest(fate):
                world = World()
                self.addCleanup(world.close)
                world.plan(update=fate)
                code, _, errors = world.release(SPILLWAY_FUNCTION_DEADLINE_S="1")
                self.assertIn(why, errors)
                # The rollback of the function fails too, so the workers are not rolled back.
                self.assertEqual(code, 2, errors)
                self.assertIn("NOT UNDONE: function-image", errors)
                self.assertEqual(world.cloud()["workers"]["app-1"], NEW_WORKER)
                # When the update works again, rollback undoes the rest.
                world.plan()
                self.assertEqual(world.run("rollback", world.state_file())[0], 0)
                self.assertEqual(world.as_before(), {})

    def test_a_failing_canary_never_gets_all_requests(self):
        for status in [500, 503, 429, 200, 401]:
            with self.subTest(status):
                world = World()
                self.addCleanup(world.close)
                world.broken = {NEW_INGEST: status}
                code, _, errors = world.release()
                self.assertEqual(code, 1, errors)
                self.assertIn(f": {status} ", errors)
                self.assertEqual(
                    world.changes(), [*FORWARD[:4], BACK["alias"], BACK["function"], BACK["workers"]]
                )
                self.assertEqual(world.as_before(), {})

    def test_workers_that_do_not_drain_are_rolled_back(self):
        self.world.undecided = True
        code, _, errors = self.world.release(SPILLWAY_SMOKE_DECIDE_S="1")
        self.assertEqual(code, 1, errors)
        self.assertIn("not decided within 1 s", errors)
        self.assertEqual(self.world.changes(), [("workers", NEW_WORKER), ("workers", OLD_WORKER)])

    def test_a_hanging_call_times_out(self):
        self.world.plan(hang=[6])
        # The stand-in sleeps for ten minutes, longer than the test's own time-out.
        code, _, errors = self.world.release(SPILLWAY_DEPLOY_CALL_TIMEOUT_S="10")
        self.assertEqual(code, 1, errors)
        self.assertEqual(self.world.as_before(), {})

    def test_rollback_stops_at_the_first_change_that_it_cannot_undo(self):
        self.world.broken = {NEW_INGEST: 500}
        calls = self.calls_until_the_alias_goes_back()
        self.world.plan(fail=[calls])
        code, _, errors = self.world.release()
        self.assertEqual(code, 2, errors)
        self.assertIn("NOT UNDONE: alias", errors)
        # The workers are not rolled back: a function may write messages that only the new ones can read.
        self.assertEqual(self.world.cloud()["workers"]["app-1"], NEW_WORKER)
        self.world.broken = {}
        self.assertEqual(self.world.run("rollback", self.world.state_file())[0], 0)
        self.assertEqual(self.world.as_before(), {})

    def calls_until_the_alias_goes_back(self):
        world = World()
        try:
            world.broken = {NEW_INGEST: 500}
            world.release()
            puts = [n for n, call in enumerate(world.calls(), 1) if call[1] == "PUT" and "/aliases/" in call[2]]
            return puts[1]
        finally:
            world.close()


class Repair(Case):
    """A broken live version can be replaced, but only with --repair."""

    def test_a_broken_live_version_stops_the_release(self):
        for status in [503, 500, 429, 401]:
            with self.subTest(status):
                world = World()
                self.addCleanup(world.close)
                world.broken = {OLD_INGEST: status}
                code, _, errors = world.release()
                self.assertEqual(code, 1, errors)
                self.assertIn("--repair", errors)
                self.assertEqual(len(world.calls()), 1)
                self.assertEqual(world.changes(), [])

    def test_repair_replaces_a_broken_version_without_a_canary(self):
        self.world.broken = {OLD_INGEST: 503}
        code, _, errors = self.world.release("--repair")
        self.assertEqual(code, 0, errors)
        # No canary: the live version rejects orders.
        self.assertEqual(self.world.changes(), [*FORWARD[:3], ("alias", "2", {})])
        self.assertEqual([it["version"] for it in self.world.orders], ["1", "2"])
        self.assertIn("1 order(s) decided", errors)

    def test_a_failed_repair_is_rolled_back(self):
        self.world.broken = {OLD_INGEST: 503, NEW_INGEST: 503}
        code, _, errors = self.world.release("--repair")
        self.assertEqual(code, 1, errors)
        self.assertEqual(
            self.world.changes(),
            [*FORWARD[:3], ("alias", "2", {}), BACK["alias"], BACK["function"], BACK["workers"]],
        )
        self.assertEqual(self.world.as_before(), {})

    def test_repair_has_no_effect_on_a_working_version(self):
        code, _, errors = self.world.release("--repair")
        self.assertEqual(code, 0, errors)
        self.assertEqual(self.world.changes(), FORWARD)

    def test_broken_workers_can_be_replaced(self):
        # The live function accepts orders, but no worker decides them until the workers are rolled.
        self.world.undecided = True
        process = self.world.start("release", "--state", self.world.state_file(), NEW_INGEST, NEW_WORKER)
        self.await_while_it_runs(process, lambda: self.world.cloud()["workers"]["app-1"] == NEW_WORKER)
        self.world.undecided = False
        _, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, errors)


class Stopped(Case):
    def test_a_signal_starts_the_rollback(self):
        # During a hanging call, before and after a change.
        for sign in [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]:
            for number in [1, 7, 15, 18]:
                with self.subTest(sign=sign, number=number):
                    world = World()
                    self.addCleanup(world.close)
                    world.plan(hang=[number])
                    process = world.start("release", "--state", world.state_file(), NEW_INGEST, NEW_WORKER)
                    self.await_while_it_runs(process, lambda: len(world.calls()) >= number)
                    process.send_signal(sign)
                    _, errors = process.communicate(timeout=120)
                    self.assertEqual(process.returncode, 1, errors)
                    self.assertEqual(world.as_before(), {}, errors)
                    self.assertIn("NOT RELEASED: undoing", errors)

    def test_the_rollback_ignores_signals(self):
        # The release fails at the canary; then calls are slow, and signals arrive.
        self.world.plan(fail=[15], slow=list(range(16, 32)))
        process = self.world.start("release", "--state", self.world.state_file(), NEW_INGEST, NEW_WORKER)
        for calls, sign in [(16, signal.SIGTERM), (17, signal.SIGINT), (18, signal.SIGTERM)]:
            self.await_while_it_runs(process, lambda: len(self.world.calls()) >= calls)
            process.send_signal(sign)
        _, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 1, errors)
        self.assertEqual(self.world.as_before(), {}, errors)

    def test_a_killed_release_leaves_its_state(self):
        self.world.plan(hang=[14])
        process = self.world.start("release", "--state", self.world.state_file(), NEW_INGEST, NEW_WORKER)
        self.await_while_it_runs(process, lambda: len(self.world.calls()) >= 14)
        process.kill()
        process.stdout.close()
        process.stderr.close()
        process.wait(timeout=10)
        self.world.plan()
        code, _, errors = self.world.run("rollback", self.world.state_file())
        self.assertEqual(code, 0, errors)
        self.assertEqual(self.world.as_before(), {})
        self.assertEqual(OLD_ALIAS, self.world.cloud()["functions"]["ingest"]["aliases"]["live"])


class StateFolder(Case):
    """The folder of the state file: the next release must detect a killed one, in any checkout."""

    def state(self, *arguments):
        return self.world.run("release-state", *arguments, HOME=str(self.world.at))

    def begin(self, environment="prod"):
        code, output, errors = self.state("begin", environment)
        self.assertEqual(code, 0, errors)
        return {name: pathlib.Path(value) for name, value in (line.split("=", 1) for line in output.splitlines())}

    def test_a_killed_release_blocks_the_next_until_it_is_undone(self):
        folder = self.begin()
        self.assertEqual(folder["STATE"].parent, folder["STATE_FOLDER"])
        # Outside the checkout, one folder for each environment.
        self.assertEqual(folder["STATE_FOLDER"].parent, self.world.at / "spillway-release")
        folder["STATE"].write_text(f"workers\t{OLD_WORKER}\n")
        for _ in range(2):
            code, output, errors = self.state("begin", "prod")
            self.assertEqual((code, output), (1, ""))
            self.assertIn(f"infra/deploy/rollback {folder['STATE']}", errors)
        self.assertEqual(self.begin("dev")["STATE"].parent.name, "dev")
        self.assertEqual(self.world.run("rollback", folder["STATE"])[0], 0)
        self.assertEqual(self.begin(), folder)
        self.assertFalse(folder["STATE"].exists())

    def test_the_folder_is_deleted_when_it_is_not_needed(self):
        for left, outcome, stays in [("workers\tx\n", "held", False), ("", "failed", False), (None, "failed", False),
                                     ("workers\tx\n", "failed", True), ("workers\tx\n", "", True)]:
            with self.subTest(left=left, outcome=outcome):
                folder = self.begin()
                if left is not None:
                    folder["STATE"].write_text(left)
                code, _, errors = self.state("end", folder["STATE_FOLDER"], outcome)
                self.assertEqual(code, 0, errors)
                self.assertEqual(folder["STATE_FOLDER"].exists(), stays)
                self.assertEqual("NOT UNDONE" in errors, stays)
                if stays:
                    folder["STATE"].unlink()

    def test_invalid_arguments_are_rejected(self):
        for arguments in [[], ["begin"], ["begin", "../prod"], ["begin", ""], ["end"], ["end", "", "held"], ["forget", "prod"]]:
            with self.subTest(arguments):
                self.assertEqual(self.state(*arguments)[0], 1)
