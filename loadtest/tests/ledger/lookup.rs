//! Look-ups that fail, or contradict what was sent or stored.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loadtest::ledger::{Attempt, Attempts, Judgement, LedgerSource, LookUpClient, SampledRow};
use loadtest::target::{RequestHead, Target};
use loadtest::workload::Workload;
use serde_json::{Value, json};
use shared::order::OrderId;
use tokio::time::Instant;

use crate::fixture::PlayedRun;
use crate::stub_server::{self, answer, field};

/// Status, body and the only buyer that gets them, by order id; the rest is unknown.
type Answers = HashMap<String, (u16, String, Option<String>)>;

const HIDDEN: Duration = Duration::from_secs(2);

/// A look-up that answers from `answers`.
fn serve(answers: Answers) -> (LookUpClient, Arc<Mutex<Answers>>) {
    let answers = Arc::new(Mutex::new(answers));
    let shared = answers.clone();
    let server = stub_server::serve(move |request, _, stream| {
        let path = request.split(' ').nth(1).expect("a path");
        let id = path.strip_prefix("/prefix/v1/orders/").expect("the prefix");
        let found = shared.lock().expect("a lock").get(id).cloned();
        let buyer = field(request, "x-user");
        let found = found.filter(|(_, _, owner)| owner.is_none() || owner.as_deref() == buyer);
        let (status, body, _) = found.unwrap_or((404, String::new(), None));
        answer(stream, &format!("{status} X"), "", &body)
    });
    let mut head = RequestHead::new("look-up");
    head.prefix = "/prefix".to_owned();
    head.headers = vec!["X-User: {user}".parse().expect("a header")];
    (LookUpClient::new(Target { address: server.address, tls: None, head: Arc::new(head) }), answers)
}

/// Accepted orders under ids that only the responses named.
struct Accepted {
    workload: Workload,
    /// Number of a request by order id.
    numbers: HashMap<String, u32>,
    attempts: Vec<Attempt>,
    answers: Answers,
    /// An order with one accepted payload.
    single: String,
    /// An order with two accepted payloads.
    changed: String,
}

fn answered_id(run: &PlayedRun, attempt: &Attempt) -> OrderId {
    let mut bytes = *attempt.order_id.as_bytes();
    bytes[0] ^= 0xff;
    assert_ne!(OrderId::from_bytes(bytes), run.unknown);
    OrderId::from_bytes(bytes)
}

fn accepted() -> Accepted {
    let mut run = PlayedRun::play(6);
    let (mut answers, mut numbers) = (Answers::new(), HashMap::new());
    let mut payloads: HashMap<OrderId, Vec<_>> = HashMap::new();
    let ids: Vec<_> = run.attempts.iter().map(|attempt| answered_id(&run, attempt)).collect();
    for (attempt, order_id) in run.attempts.iter_mut().zip(ids).filter(|(attempt, _)| attempt.is_accepted()) {
        attempt.answered_id = order_id;
        numbers.insert(order_id.to_string(), attempt.number);
        let spec = run.workload.request_spec(u64::from(attempt.number));
        let (_, digest) = run.workload.expected(&spec).expect("valid");
        let known = payloads.entry(order_id).or_default();
        if !known.contains(&digest) {
            known.push(digest);
        }
    }
    for (order_id, digests) in &payloads {
        let body = json!({
            "order_id": order_id.to_string(), "state": "confirmed", "digest": digests[0].to_string(),
            "conflicts": digests.len() - 1, "decided_at": "2026-01-01T00:00:00.000Z",
        });
        let number = u64::from(numbers[&order_id.to_string()]);
        let owner = run.workload.user_id(&run.workload.request_spec(number));
        answers.insert(order_id.to_string(), (200, body.to_string(), Some(owner)));
    }
    let with = |count: usize| {
        let mut found = payloads.iter().filter(|(_, digests)| digests.len() == count);
        found.next().expect("some").0.to_string()
    };
    Accepted {
        workload: run.workload,
        numbers,
        answers,
        single: with(1),
        changed: with(2),
        attempts: run.attempts,
    }
}

async fn judge(accepted: &Accepted, client: &LookUpClient, sample_max: usize) -> Judgement {
    let attempts = Attempts::new(accepted.attempts.clone(), vec!["publish_timeout".into()]);
    client
        .judge(&accepted.workload, &attempts, sample_max, HIDDEN, || false, |_progress| {})
        .await
        .expect("judges")
}

fn names(judgement: &Judgement) -> Vec<&str> {
    judgement.verdict.faults.iter().map(|fault| fault.code.as_ref()).collect()
}

fn change(answers: &mut Answers, id: &str, member: &str, value: Value) {
    let (_, body, _) = answers.get_mut(id).expect("there");
    let mut json: Value = serde_json::from_str(body).expect("JSON");
    json[member] = value;
    *body = json.to_string();
}

#[tokio::test]
async fn look_ups_alone_keep_a_ledger() {
    let accepted = accepted();
    let (client, _) = serve(accepted.answers.clone());
    let whole = judge(&accepted, &client, 10_000).await;
    assert!(whole.verdict.adds_up(), "{}", whole.verdict);
    assert_eq!(whole.verdict.source, LedgerSource::LookUp);
    assert_eq!(whole.verdict.looked_up, accepted.answers.len());
    assert_eq!(whole.verdict.confirmed, accepted.answers.len());
    assert!(whole.verdict.to_string().contains("knows every accepted order"), "{}", whole.verdict);
    let part = judge(&accepted, &client, 7).await;
    assert_eq!((part.verdict.looked_up, part.verdict.confirmed), (7, 7));
    assert!(part.verdict.to_string().contains("each of 7 sampled orders"), "{}", part.verdict);
}

#[tokio::test]
async fn each_wrong_look_up_is_named_and_nothing_else() {
    type PlantAnswer = fn(&mut Accepted);
    let cases: [(&str, PlantAnswer); 11] = [
        ("accepted_order_lost", |it| drop(it.answers.remove(&it.single))),
        ("accepted_order_dead_lettered", |it| {
            change(&mut it.answers, &it.single, "state", json!("dead_lettered"));
        }),
        ("row_with_unknown_payload", |it| {
            change(&mut it.answers, &it.single, "digest", json!(format!("sha256:{}", "0".repeat(64))));
        }),
        ("inconsistent_state", |it| change(&mut it.answers, &it.single, "state", json!("rejected"))),
        ("conflict_not_recorded", |it| change(&mut it.answers, &it.changed, "conflicts", json!(0))),
        ("conflict_without_cause", |it| change(&mut it.answers, &it.single, "conflicts", json!(1))),
        ("lookup_failed", |it| drop(it.answers.insert(it.single.clone(), (500, String::new(), None)))),
        ("lookup_answers_another_buyer", |it| it.answers.get_mut(&it.single).expect("there").2 = None),
        ("lookup_names_another_order", |it| {
            change(&mut it.answers, &it.single, "order_id", json!(it.changed));
        }),
        ("replay_names_another_order", |it| {
            // The second 202 of the changed order names another one, which the look-up does not have to know.
            let id = it.changed.parse().expect("an id");
            let second = it.attempts.iter_mut().rfind(|attempt| attempt.answered_id == id);
            second.expect("there").answered_id = it.single.parse().expect("an id");
        }),
        ("response_names_another_order", |it| {
            let attempt = it.attempts.iter_mut().find(|attempt| attempt.is_accepted());
            attempt.expect("some").answer = loadtest::ledger::AnswerMatch::Differs;
        }),
    ];
    let runs = cases.map(|(code, plant)| async move {
        let mut planted = accepted();
        plant(&mut planted);
        let (client, _) = serve(planted.answers.clone());
        let judgement = judge(&planted, &client, 10_000).await;
        assert_eq!(names(&judgement), [code], "{}", judgement.verdict);
    });
    futures(runs).await;
}

/// Awaits all at once.
async fn futures(runs: impl IntoIterator<Item = impl Future<Output = ()> + Send + 'static>) {
    let mut tasks: tokio::task::JoinSet<()> = runs.into_iter().collect();
    while let Some(ended) = tasks.join_next().await {
        ended.expect("passes");
    }
}

#[tokio::test]
async fn an_order_that_is_still_queued_is_looked_up_again() {
    let accepted = accepted();
    let mut early = accepted.answers.clone();
    early.remove(&accepted.single);
    let (client, answers) = serve(early);
    let began = Instant::now();
    let (judgement, ()) = tokio::join!(judge(&accepted, &client, 10_000), async {
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        *answers.lock().expect("a lock") = accepted.answers.clone();
    });
    assert!(judgement.verdict.adds_up(), "{}", judgement.verdict);
    assert!(began.elapsed() > Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn look_ups_are_compared_with_rows() {
    let accepted = accepted();
    let id = |text: &str| text.parse::<OrderId>().expect("an id");
    let row = |text: &String, body: &str| {
        let answer: Value = serde_json::from_str(body).expect("JSON");
        SampledRow {
            order_id: id(text),
            number: accepted.numbers[text],
            digest: answer["digest"].as_str().expect("a text").parse().expect("a digest"),
            state: "confirmed".to_owned(),
            reason: None,
            conflicts: answer["conflicts"].as_u64().expect("a number"),
            // 2026-01-01 00:00:00.000.
            decided_us: 1_767_225_600_000_321,
        }
    };
    let sample: Vec<_> = accepted.answers.iter().map(|(id, (_, body, _))| row(id, body)).collect();
    let compare = async |answers: Answers| {
        let (client, _) = serve(answers);
        let mut judgement =
            Judgement { verdict: Default::default(), decisions: Default::default(), sample: sample.clone() };
        client.check(&accepted.workload, &mut judgement).await.expect("looks up");
        assert_eq!(judgement.verdict.looked_up, sample.len());
        names(&judgement).join(" ")
    };
    assert_eq!(compare(accepted.answers.clone()).await, "");
    let planted = |plant: fn(&mut Answers, &str)| {
        let mut answers = accepted.answers.clone();
        plant(&mut answers, &accepted.changed);
        answers
    };
    let members = [
        planted(|answers, id| change(answers, id, "state", json!("rejected"))),
        planted(|answers, id| change(answers, id, "reason", json!("sold_out"))),
        planted(|answers, id| change(answers, id, "digest", Value::Null)),
        planted(|answers, id| change(answers, id, "conflicts", json!(0))),
        planted(|answers, id| change(answers, id, "decided_at", json!("2026-01-01T00:00:00.002Z"))),
    ];
    for answers in members {
        assert_eq!(compare(answers).await, "lookup_differs");
    }
    assert_eq!(compare(planted(|answers, id| drop(answers.remove(id)))).await, "lookup_unknown");
    assert_eq!(
        compare(planted(|answers, id| change(answers, id, "order_id", json!("x")))).await,
        "lookup_names_another_order"
    );
    let failing = planted(|answers, id| drop(answers.insert(id.to_owned(), (503, String::new(), None))));
    assert_eq!(compare(failing).await, "lookup_failed");
    let shown = planted(|answers, id| answers.get_mut(id).expect("there").2 = None);
    assert_eq!(compare(shown).await, "lookup_answers_another_buyer");
}
