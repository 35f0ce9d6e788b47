"""Scripts for operators: warm, admin-urls."""

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
        """Makes these policies of the schedule active."""
        cloud = self.world.cloud()
        cloud["functions"]["ingest"]["active"] = names
        self.world.write(cloud)

    def provisioned(self):
        return self.world.cloud()["functions"]["ingest"]["provision"]

    def test_warm_waits_for_instances_and_leaves_the_schedule_unchanged(self):
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

    def test_the_setting_for_idle_cpu_is_unchanged(self):
        self.provision(alwaysAllocateCPU=True, defaultTarget=3)
        self.assertEqual(self.world.run("warm", "5")[0], 0)
        self.assertIs(self.provisioned()["alwaysAllocateCPU"], True)
        self.assertEqual(self.provisioned()["defaultTarget"], 5)

    def test_an_alias_without_a_configuration_gets_one(self):
        code, _, errors = self.world.run("warm", "2")
        self.assertEqual(code, 0, errors)
        self.assertEqual(self.provisioned()["defaultTarget"], 2)

    def test_warm_0_stops_the_instances(self):
        self.provision(defaultTarget=15, current=15)
        code, _, errors = self.world.run("warm", "0")
        self.assertEqual(code, 0, errors)
        self.assertIn("no policy holds instances", errors)
        self.assertEqual(self.provisioned()["defaultTarget"], 0)

    def test_a_number_below_the_schedules_target_does_not_wait(self):
        self.provision(current=15)
        self.active("double-eleven-warm")
        code, _, errors = self.world.run("warm", "5")
        self.assertEqual(code, 0, errors)
        self.assertIn("the schedule's target is 15 now", errors)
        self.assertEqual(self.provisioned()["defaultTarget"], 5)
        self.assertEqual(self.provisioned()["scheduledActions"], SCHEDULE)

    def test_warm_0_during_a_schedule_leaves_its_instances(self):
        # The default was set by hand earlier. The target that warm reads is the schedule's and must not be sent.
        self.provision(defaultTarget=20, current=15)
        self.active("double-eleven-warm")
        code, _, errors = self.world.run("warm", "0")
        self.assertEqual(code, 0, errors)
        self.assertIn("still holds 15", errors)
        self.assertEqual(self.provisioned()["defaultTarget"], 0)
        self.active()
        self.assertIn("15 of 0, wanted 0", self.world.run("warm", "0")[2])

    def test_a_number_above_the_schedules_target_fails(self):
        # By the vendor's pages the default does not apply meanwhile: warm reports that and fails.
        self.provision(current=15)
        self.active("double-eleven-warm")
        code, _, errors = self.world.run("warm", "30", SPILLWAY_FUNCTION_DEADLINE_S="20")
        self.assertEqual(code, 1, errors)
        self.assertEqual(errors.count("target is still 15"), 1, errors)
        # If the default does apply, warm succeeds.
        self.world.plan(warm="greatest")
        code, _, errors = self.world.run("warm", "30")
        self.assertEqual(code, 0, errors)
        self.assertNotIn("is still", errors)

    def test_an_api_without_a_default_works(self):
        self.provision()
        self.world.plan(warm="old")
        for number in ["15", "0"]:
            code, _, errors = self.world.run("warm", number)
            self.assertEqual(code, 0, errors)
            self.assertEqual(self.provisioned()["defaultTarget"], int(number))

    def test_missing_instances_are_an_error(self):
        self.provision()
        cloud = self.world.cloud()
        cloud["functions"]["ingest"]["instances_max"] = 3
        self.world.write(cloud)
        code, _, errors = self.world.run("warm", "15", SPILLWAY_FUNCTION_DEADLINE_S="1")
        self.assertEqual(code, 1)
        self.assertIn("not done in time", errors)

    def test_a_failed_read_changes_no_configuration(self):
        # The read call fails with another error than NotFound.
        self.provision()
        self.world.plan(fail=[1])
        code, _, errors = self.world.run("warm", "15")
        self.assertEqual(code, 1)
        self.assertIn("this call fails", errors)
        self.assertEqual(self.world.changes(), [])

    def test_a_dry_run_makes_no_change(self):
        self.provision()
        code, _, errors = self.world.run("warm", "15", SPILLWAY_DEPLOY_DRY_RUN="yes")
        self.assertEqual(code, 0, errors)
        self.assertIn("provision-config", errors)
        self.assertEqual(self.world.changes(), [])

    def test_the_argument_must_be_a_number(self):
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

    def test_running_workers_are_printed(self):
        self.instances(("10.0.3.17", "Running"), ("10.0.3.18", "Pending"), ("10.0.4.5", "Running"), (None, "Running"))
        code, output, errors = self.world.run("admin-urls")
        self.assertEqual(code, 0, errors)
        self.assertEqual(output, "http://10.0.3.17:9101\nhttp://10.0.4.5:9101\n")

    def test_the_port_can_be_set(self):
        self.instances(("10.0.3.17", "Running"))
        self.assertEqual(self.world.run("admin-urls", SPILLWAY_ADMIN_PORT="9999")[1], "http://10.0.3.17:9999\n")

    def test_no_running_worker_is_an_error(self):
        self.instances(("10.0.3.18", "Pending"))
        code, output, errors = self.world.run("admin-urls")
        self.assertEqual((code, output), (1, ""))
        self.assertIn("no worker is running", errors)


class Contacts(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)

    def test_a_contact_that_has_not_confirmed_is_named(self):
        for contacts, code, expected in [
            ({"oncall": True, "deputy": True}, 0, "2 contact(s) of spillway-prod are confirmed"),
            ({"oncall": True, "deputy": False}, 1, "not confirmed: deputy."),
            ({}, 1, "has no contact"),
        ]:
            with self.subTest(contacts):
                cloud = self.world.cloud()
                cloud["contacts"] = {"spillway-prod": contacts}
                self.world.write(cloud)
                found, _, errors = self.world.run("check-contacts", "spillway-prod")
                self.assertEqual(found, code, errors)
                self.assertIn(expected, errors)
