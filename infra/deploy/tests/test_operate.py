"""What operators call by hand: warm instances, and where the workers are."""

import unittest

from world import World

SCHEDULE = [{"name": "double-eleven-warm", "target": 15, "scheduleExpression": "cron(0 50 23 10 11 *)"}]


class Warm(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)

    def provision(self, **provision):
        cloud = self.world.cloud()
        cloud["functions"]["ingest"]["provision"] = {
            "defaultTarget": 0, "current": 0, "alwaysAllocateCPU": False, "scheduledActions": SCHEDULE, "targetTrackingPolicies": [],
        } | provision
        self.world.write(cloud)

    def active(self, *names):
        """These policies of the schedule are active now."""
        cloud = self.world.cloud()
        cloud["functions"]["ingest"]["active"] = names
        self.world.write(cloud)

    def provisioned(self):
        return self.world.cloud()["functions"]["ingest"]["provision"]

    def test_instances_are_waited_for_and_the_schedule_stays(self):
        self.provision()
        code, _, errors = self.world.run("warm", "15")
        self.assertEqual(code, 0, errors)
        self.assertIn("0 of 0, wanted 15", errors)
        self.assertEqual(self.world.changes(), [("warm", 15)])
        provisioned = self.provisioned()
        self.assertEqual((provisioned["defaultTarget"], provisioned["current"]), (15, 15))
        self.assertIn("until: infra/deploy/warm 0", errors)
        self.assertEqual(provisioned["scheduledActions"], SCHEDULE)
        self.assertIs(provisioned["alwaysAllocateCPU"], False)

    def test_whoever_pays_for_cpu_at_rest_goes_on_doing_so(self):
        self.provision(alwaysAllocateCPU=True, defaultTarget=3)
        self.assertEqual(self.world.run("warm", "5")[0], 0)
        self.assertIs(self.provisioned()["alwaysAllocateCPU"], True)
        self.assertEqual(self.provisioned()["defaultTarget"], 5)

    def test_an_alias_that_was_never_warm(self):
        code, _, errors = self.world.run("warm", "2")
        self.assertEqual(code, 0, errors)
        self.assertEqual(self.provisioned()["defaultTarget"], 2)

    def test_down_again(self):
        self.provision(defaultTarget=15, current=15)
        code, _, errors = self.world.run("warm", "0")
        self.assertEqual(code, 0, errors)
        self.assertIn("nothing holds instances", errors)
        self.assertEqual(self.provisioned()["defaultTarget"], 0)

    def test_fewer_than_the_schedule_asks_for_are_not_waited_for(self):
        self.provision(current=15)
        self.active("double-eleven-warm")
        code, _, errors = self.world.run("warm", "5")
        self.assertEqual(code, 0, errors)
        self.assertIn("the schedule asks for 15 now", errors)
        self.assertEqual(self.provisioned()["defaultTarget"], 5)
        self.assertEqual(self.provisioned()["scheduledActions"], SCHEDULE)

    def test_what_the_schedule_holds_it_lets_go_by_itself(self):
        # Set by hand before, while nothing was active: what was read as the target is the schedule's, and not sent back.
        self.provision(defaultTarget=20, current=15)
        self.active("double-eleven-warm")
        code, _, errors = self.world.run("warm", "0")
        self.assertEqual(code, 0, errors)
        self.assertIn("still holds 15", errors)
        self.assertEqual(self.provisioned()["defaultTarget"], 0)
        self.active()
        self.assertIn("15 of 0, wanted 0", self.world.run("warm", "0")[2])

    def test_more_than_the_schedule_asks_for(self):
        # By the vendor's pages the default does not count meanwhile: that is said, and no success.
        self.provision(current=15)
        self.active("double-eleven-warm")
        code, _, errors = self.world.run("warm", "30", SPILLWAY_FUNCTION_DEADLINE_S="4")
        self.assertEqual(code, 1, errors)
        self.assertEqual(errors.count("still aims at 15"), 1, errors)
        # Should it count all the same, it is one.
        self.world.plan(warm="greatest")
        code, _, errors = self.world.run("warm", "30")
        self.assertEqual(code, 0, errors)
        self.assertNotIn("still aims", errors)

    def test_an_api_that_knows_no_default(self):
        self.provision()
        self.world.plan(warm="old")
        for number in ["15", "0"]:
            code, _, errors = self.world.run("warm", number)
            self.assertEqual(code, 0, errors)
            self.assertEqual(self.provisioned()["defaultTarget"], int(number))

    def test_instances_that_do_not_come_are_told(self):
        self.provision()
        cloud = self.world.cloud()
        cloud["functions"]["ingest"]["instances_max"] = 3
        self.world.write(cloud)
        code, _, errors = self.world.run("warm", "15", SPILLWAY_FUNCTION_DEADLINE_S="1")
        self.assertEqual(code, 1)
        self.assertIn("not done in time", errors)

    def test_what_is_not_known_is_not_overwritten(self):
        # A question that fails for another reason than that there is nothing.
        self.provision()
        self.world.plan(fail=[1])
        code, _, errors = self.world.run("warm", "15")
        self.assertEqual(code, 1)
        self.assertIn("this call fails", errors)
        self.assertEqual(self.world.changes(), [])

    def test_a_dry_run_changes_nothing(self):
        self.provision()
        code, _, errors = self.world.run("warm", "15", SPILLWAY_DEPLOY_DRY_RUN="yes")
        self.assertEqual(code, 0, errors)
        self.assertIn("provision-config", errors)
        self.assertEqual(self.world.changes(), [])

    def test_only_a_number(self):
        for arguments in [[], ["-1"], ["many"], ["1", "2"], ["1.5"]]:
            with self.subTest(arguments):
                self.assertEqual(self.world.run("warm", *arguments)[0], 1)
        self.assertEqual(self.world.calls(), [])


class AdminUrls(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)

    def instances(self, *found):
        cloud = self.world.cloud()
        cloud["instances"] = [{"InstanceContainerIp": address, "InstanceContainerStatus": status} for address, status in found]
        self.world.write(cloud)

    def test_those_that_run(self):
        self.instances(("10.0.3.17", "Running"), ("10.0.3.18", "Pending"), ("10.0.4.5", "Running"), (None, "Running"))
        code, output, errors = self.world.run("admin-urls")
        self.assertEqual(code, 0, errors)
        self.assertEqual(output, "http://10.0.3.17:9101\nhttp://10.0.4.5:9101\n")

    def test_another_port(self):
        self.instances(("10.0.3.17", "Running"))
        self.assertEqual(self.world.run("admin-urls", SPILLWAY_ADMIN_PORT="9999")[1], "http://10.0.3.17:9999\n")

    def test_nobody_runs(self):
        self.instances(("10.0.3.18", "Pending"))
        code, output, errors = self.world.run("admin-urls")
        self.assertEqual((code, output), (1, ""))
        self.assertIn("no worker runs", errors)
