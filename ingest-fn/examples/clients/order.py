"""Places one order and waits for its outcome: python3 order.py URL FILE KEY"""

import json
import random
import sys
import time
import urllib.error
import urllib.request

ATTEMPTS_MAX = 10
POLLS_MAX = 300


def call(url, body=None, key=None):
    """Returns status, JSON and the wait that the answer asks for; status 0 without an answer."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": key} if body else {}
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=15)
    except urllib.error.HTTPError as error:
        answer = error
    except OSError:
        return 0, {}, None
    wait = answer.headers.get("Retry-After")
    try:
        content = json.loads(answer.read())
    except (OSError, ValueError):
        content = {}
    return answer.status, content, float(wait) if wait and wait.isdigit() else None


def place(url, body, key):
    """Sends the order until it is accepted. Each attempt has the same key, so it stays one order."""
    for attempt in range(ATTEMPTS_MAX):
        status, answer, wait = call(url + "/v1/orders", body, key)
        if status == 202:
            return answer
        # A gateway's or platform's answer has no `retryable`; only its 4xx are the client's fault.
        if not answer.get("retryable", status < 400 or status in (408, 429) or status >= 500):
            break
        time.sleep(wait if wait is not None else min(30, 2**attempt) * random.uniform(0.5, 1))
    sys.exit(f"not accepted: {status} {answer}")


def outcome(url, order_id):
    """Asks until the order is decided. A 404 means that it is still queued."""
    for _ in range(POLLS_MAX):
        status, answer, wait = call(f"{url}/v1/orders/{order_id}")
        if status == 200 and answer.get("state") in ("confirmed", "rejected"):
            return answer
        if status in (400, 401, 403):
            break
        time.sleep(2 if wait is None else wait)
    sys.exit(f"no outcome: {status} {answer}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    base, file, idempotency_key = sys.argv[1:]
    with open(file, "rb") as order:
        accepted = place(base, order.read(), idempotency_key)
    decided = outcome(base, accepted["order_id"])
    print(decided["order_id"], decided["state"], decided.get("reason", ""))
    sys.exit(0 if decided["state"] == "confirmed" else 1)
