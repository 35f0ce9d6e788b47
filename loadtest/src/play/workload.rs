//! Who asks for what: seeded, so that a run can be repeated.

use bytes::Bytes;
use ingest_fn::request::{AddressRequest, ItemRequest, OrderRequest, into_order};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use shared::order::{IdempotencyKey, OrderId, OrderIdKey, PayloadDigest, SaleId, UserId};

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An order of its own.
    New,
    /// An earlier order, sent again as it was.
    Replay,
    /// An earlier order's key with another body.
    Changed,
    /// An order that breaks a rule: 422 is expected.
    Invalid,
}

/// A request, ready to send.
#[derive(Clone, Debug)]
pub struct Planned {
    /// What it is.
    pub kind: Kind,
    /// The `Idempotency-Key`.
    pub idempotency_key: String,
    /// The body.
    pub body: Bytes,
    /// The id and digest it must get; `None` for an invalid one.
    pub expected: Option<(OrderId, PayloadDigest)>,
}

/// What the sale looks like.
#[derive(Clone, Copy, Debug)]
pub struct WorkloadConfig {
    /// Seed of every choice.
    pub seed: u64,
    /// Different buyers.
    pub users: u32,
    /// Share of replays, 0 to 1.
    pub replays: f64,
    /// Share of changed bodies.
    pub changed: f64,
    /// Share of invalid orders.
    pub invalid: f64,
}

/// Makes requests for the demo's sale.
#[derive(Debug)]
pub struct Workload {
    config: WorkloadConfig,
    random: StdRng,
    key: OrderIdKey,
    sale_id: String,
    skus: Vec<String>,
    /// Orders made so far: key, request.
    made: Vec<(String, OrderRequest)>,
    /// Parts this run's keys from another's.
    run: u64,
}

impl Workload {
    /// Requests for `sale_id`; the first of `skus` is the hot one.
    #[must_use]
    pub fn new(config: WorkloadConfig, key: OrderIdKey, sale_id: &SaleId, skus: Vec<String>) -> Self {
        let mut random = StdRng::seed_from_u64(config.seed);
        let run = random.random();
        Self { config, random, key, sale_id: sale_id.as_str().to_owned(), skus, made: Vec::new(), run }
    }

    /// The next request.
    pub fn next_request(&mut self) -> Planned {
        let choice: f64 = self.random.random();
        let WorkloadConfig { replays, changed, invalid, .. } = self.config;
        if choice < invalid {
            self.invalid()
        } else if !self.made.is_empty() && choice < invalid + replays {
            self.again(Kind::Replay)
        } else if !self.made.is_empty() && choice < invalid + replays + changed {
            self.again(Kind::Changed)
        } else {
            self.fresh()
        }
    }

    fn fresh(&mut self) -> Planned {
        let request = self.request();
        let key = format!("{:016x}-{}", self.run, self.made.len());
        let planned = self.planned(Kind::New, key.clone(), &request);
        self.made.push((key, request));
        planned
    }

    fn again(&mut self, kind: Kind) -> Planned {
        // Mostly a recent one, as impatient buyers do.
        let back = self.random.random_range(0..self.made.len().min(500));
        let (key, request) = self.made[self.made.len() - 1 - back].clone();
        let request = if kind == Kind::Changed {
            OrderRequest {
                client_reference: Some(format!("changed-{}", self.random.random::<u32>())),
                ..request
            }
        } else {
            request
        };
        self.planned(kind, key, &request)
    }

    fn invalid(&mut self) -> Planned {
        let mut request = self.request();
        request.items[0].sku = "NOT-ON-SALE".to_owned();
        let key = format!("invalid-{:016x}", self.random.random::<u64>());
        Planned { kind: Kind::Invalid, idempotency_key: key, body: body(&request), expected: None }
    }

    fn request(&mut self) -> OrderRequest {
        let user = self.random.random_range(0..self.config.users);
        let lines = if self.random.random_bool(0.8) { 1 } else { 2 };
        // A third of all want the hot SKU.
        let first =
            if self.random.random_bool(0.33) { 0 } else { self.random.random_range(1..self.skus.len()) };
        let items = (0..lines)
            .map(|line| ItemRequest { sku: self.skus[(first + line) % self.skus.len()].clone(), quantity: 1 })
            .collect();
        OrderRequest {
            sale_id: self.sale_id.clone(),
            user_id: format!("user-{user}"),
            items,
            currency: "CNY".to_owned(),
            shipping_address: AddressRequest {
                recipient: format!("Buyer {user}"),
                line1: format!("{} Nanjing Road", self.random.random_range(1..2_000)),
                line2: None,
                city: "Shanghai".to_owned(),
                region: None,
                postal_code: Some("200001".to_owned()),
                country: "CN".to_owned(),
                phone: Some(format!("+86 130 {:08}", self.random.random_range(0..100_000_000))),
            },
            client_reference: None,
        }
    }

    fn planned(&self, kind: Kind, idempotency_key: String, request: &OrderRequest) -> Planned {
        Planned {
            kind,
            expected: self.expected(&idempotency_key, request),
            body: body(request),
            idempotency_key,
        }
    }

    /// Derived here, so that the answer can be held against it.
    fn expected(&self, idempotency_key: &str, request: &OrderRequest) -> Option<(OrderId, PayloadDigest)> {
        let order = into_order(request).ok()?;
        let user_id = UserId::parse(&request.user_id).ok()?;
        let idempotency_key = IdempotencyKey::parse(idempotency_key).ok()?;
        let order_id = OrderId::derive(&self.key, &order.sale_id, &user_id, &idempotency_key);
        Some((order_id, PayloadDigest::of(&order)))
    }
}

fn body(request: &OrderRequest) -> Bytes {
    serde_json::to_vec(request).unwrap_or_default().into()
}
