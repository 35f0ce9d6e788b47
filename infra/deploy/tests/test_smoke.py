"""The smoke test uses the shoppers' path, and fails unless every order is accepted and decided."""

import unittest

from world import NEW_INGEST, OLD_INGEST, SECRETS, World


class Smoke(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)

    def test_an_order_is_accepted_and_decided(self):
        code, output, errors = self.world.run("smoke")
        self.assertEqual(code, 0, errors)
        self.assertIn("1 order(s) decided", errors)
        (order,) = self.world.orders
        self.assertEqual(order["body"]["items"], [{"sku": "REHEARSAL", "quantity": 1}])
        self.assertNotIn("user_id", order["body"])
        self.assertNotIn(SECRETS["token"], output + errors)

    def test_accepted_does_not_wait_for_the_decision(self):
        self.world.undecided = True
        code, _, errors = self.world.run("smoke", "--accepted")
        self.assertEqual(code, 0, errors)
        self.assertEqual((len(self.world.orders), self.world.lookups), (1, 0))
        self.world.broken = {OLD_INGEST: 503}
        self.assertEqual(self.world.run("smoke", "--accepted")[0], 1)

    def test_settings_reach_the_order(self):
        code, _, errors = self.world.run(
            "smoke", SPILLWAY_SMOKE_USER="rehearser", SPILLWAY_SMOKE_SALE="dress", SPILLWAY_SMOKE_SKU="X",
            SPILLWAY_SMOKE_CURRENCY="USD",
        )
        self.assertEqual(code, 0, errors)
        body = self.world.orders[0]["body"]
        self.assertEqual((body["user_id"], body["sale_id"], body["currency"]), ("rehearser", "dress", "USD"))
        self.assertEqual(body["items"][0]["sku"], "X")

    def test_enough_orders_are_posted_to_reach_a_canary(self):
        # The minimum number of orders with (1 - weight)^orders at most 0.001.
        for weight, orders in [("0.5", 10), ("0.9", 3), (".2", 31), ("0.05", 135)]:
            with self.subTest(weight):
                self.assertLessEqual((1 - float(weight)) ** orders, 0.001)
                self.assertGreater((1 - float(weight)) ** (orders - 1), 0.001)
                _, _, errors = self.world.run("smoke", "--canary", weight, SPILLWAY_DEPLOY_DRY_RUN="yes")
                self.assertIn(f"would post {orders} rehearsal", errors)

    def test_outcomes_of_an_order(self):
        for outcome, code, said in [
            ({"state": "confirmed"}, 0, "confirmed"),
            ({"state": "rejected", "reason": "sold_out"}, 0, "needs more stock"),
            ({"state": "rejected", "reason": "limit_exceeded"}, 0, "needs more stock"),
            ({"state": "rejected", "reason": "because"}, 1, "rejected because"),
            ({"state": "dead_lettered", "reason": "unknown_sku"}, 1, "dead_lettered unknown_sku"),
            ({}, 1, "null"),
        ]:
            with self.subTest(outcome):
                self.world.outcome = outcome
                result, _, errors = self.world.run("smoke")
                self.assertEqual(result, code, errors)
                self.assertIn(said, errors)

    def test_a_failed_order_is_not_retried(self):
        self.world.broken = {OLD_INGEST: 503, NEW_INGEST: 503}
        code, _, errors = self.world.run("smoke")
        self.assertEqual(code, 1)
        self.assertIn("503 publish_failed", errors)
        self.assertEqual(len(self.world.orders), 1)

    def test_an_unknown_token_fails(self):
        code, _, errors = self.world.run("smoke", SPILLWAY_SMOKE_TOKEN="another")
        self.assertEqual(code, 1)
        self.assertIn("401 signature_missing", errors)
        self.assertNotIn("another", errors)

    def test_an_unreachable_gateway_fails(self):
        self.assertEqual(self.world.run("smoke", SPILLWAY_SMOKE_URL="http://127.0.0.1:9")[0], 1)

    def test_invalid_arguments_are_rejected(self):
        for arguments, environment in [
            (["--canary", "0"], {}),
            (["--canary", "1"], {}),
            (["--canary", "x"], {}),
            (["--canary", "0.001"], {}),
            (["--other"], {}),
            ([], {"SPILLWAY_SMOKE_URL": "http://shop.example.com"}),
        ]:
            with self.subTest(arguments, **environment):
                self.assertEqual(self.world.run("smoke", *arguments, **environment)[0], 1)
        self.assertEqual(self.world.orders, [])
