//! The contents of the requests. Each is a function of the seed and its number alone: nothing is stored, a run can be
//! repeated, and the ledger derives afterwards what each request must have become.

mod invalid;
mod ordered;
mod render;
mod run_id;
mod spec;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Zipf};
use shared::catalogue::Sale;
use shared::order::{
    AddressLine, ClientReference, Country, Currency, Item, Items, Order, OrderId, OrderIdKey, PayloadDigest,
    Quantity, SaleId, ShippingAddress, Sku, UserId,
};

use crate::scenario::{Buyers, RequestMix, Scenario};

pub use invalid::InvalidRequest;
pub use ordered::{OrderedLine, SaleSku};
pub use render::RequestRenderer;
pub use run_id::RunId;
pub use spec::{LINES_MAX, RequestKind, RequestSpec};

/// Maximum distance of a replay to the order that it repeats: impatient buyers repeat a recent one.
const REPLAY_BACK_MAX: u64 = 500;

#[derive(Clone, Debug)]
pub struct Workload {
    seed: u64,
    run_id: u64,
    sale_id: String,
    currency: String,
    /// Starts every buyer's id of this run.
    user_prefix: String,
    skus: Vec<SaleSku>,
    key: OrderIdKey,
    buyers: Buyers,
    kinds: KindThresholds,
    user_law: Zipf<f64>,
    sku_law: Zipf<f64>,
}

#[derive(Clone, Copy, Debug)]
struct KindThresholds {
    invalid: f64,
    hang_up: f64,
    slow_body: f64,
    replay: f64,
    changed: f64,
}

impl KindThresholds {
    const fn new(mix: &RequestMix) -> Self {
        let invalid = mix.invalid;
        let hang_up = invalid + mix.hang_ups;
        let slow_body = hang_up + mix.slow_bodies;
        let replay = slow_body + mix.replays;
        Self { invalid, hang_up, slow_body, replay, changed: replay + mix.changed }
    }
}

/// The drawn kind of a request; the repeated order is selected afterwards.
#[derive(Clone, Copy, Debug, PartialEq)]
enum DrawnKind {
    Own(RequestKind),
    Repeat(RequestKind),
    Invalid,
}

impl Workload {
    /// Generates requests for `sale`, whose SKUs `scenario`'s Zipf law ranks by name, hot ones (`HOT…`) first.
    ///
    /// `run_id` separates this run's idempotency keys and buyers from another's; it changes nothing else.
    pub fn new(scenario: &Scenario, sale: &Sale, key: OrderIdKey, run_id: u64) -> anyhow::Result<Self> {
        let mut skus: Vec<_> = sale
            .skus
            .iter()
            .map(|(sku, terms)| SaleSku { name: sku.as_str().to_owned(), terms: *terms })
            .collect();
        skus.sort_by_key(|sku| !sku.name.starts_with("HOT"));
        let buyers = scenario.buyers;
        Ok(Self {
            seed: scenario.seed,
            run_id,
            sale_id: sale.id.as_str().to_owned(),
            currency: sale.currency.as_str().to_owned(),
            user_prefix: format!("{:08x}-user-", (run_id >> 32) as u32),
            user_law: Zipf::new(f64::from(buyers.users), buyers.user_zipf)?,
            sku_law: Zipf::new(skus.len() as f64, buyers.sku_zipf)?,
            skus,
            key,
            buyers,
            kinds: KindThresholds::new(&scenario.mix),
        })
    }

    pub fn request_spec(&self, number: u64) -> RequestSpec {
        let mut random = self.random(number);
        match self.draw_kind(&mut random) {
            DrawnKind::Own(kind) => self.order(number, number, kind, &mut random),
            DrawnKind::Invalid => {
                let kind = RequestKind::Invalid(
                    InvalidRequest::ALL[random.random_range(0..InvalidRequest::ALL.len())],
                );
                self.order(number, number, kind, &mut random)
            }
            DrawnKind::Repeat(kind) => match self.earlier(number, &mut random) {
                Some(origin) => {
                    let mut again = self.request_spec(origin);
                    (again.number, again.kind) = (number, kind);
                    if kind == RequestKind::Changed {
                        again.note = Some(random.random());
                    }
                    again
                }
                None => self.order(number, number, RequestKind::New, &mut random),
            },
        }
    }

    fn random(&self, number: u64) -> SmallRng {
        // The generator's own seeding mixes these bits; neighbours are independent.
        SmallRng::seed_from_u64(self.seed.rotate_left(32) ^ number)
    }

    /// Uniform from 0 to 1, for the wait before the retry of attempt `attempt`.
    pub fn retry_jitter(&self, number: u64, attempt: u8) -> f64 {
        // The request's own generator has no rotation by 16 bits.
        SmallRng::seed_from_u64(self.seed.rotate_left(16) ^ (number << 8) ^ u64::from(attempt)).random()
    }

    fn draw_kind(&self, random: &mut SmallRng) -> DrawnKind {
        let die: f64 = random.random();
        let kinds = self.kinds;
        if die < kinds.invalid {
            DrawnKind::Invalid
        } else if die < kinds.hang_up {
            DrawnKind::Own(RequestKind::HangUp)
        } else if die < kinds.slow_body {
            DrawnKind::Own(RequestKind::SlowBody)
        } else if die < kinds.replay {
            DrawnKind::Repeat(RequestKind::Replay)
        } else if die < kinds.changed {
            DrawnKind::Repeat(RequestKind::Changed)
        } else {
            DrawnKind::Own(RequestKind::New)
        }
    }

    /// A recent request that is a new order.
    fn earlier(&self, number: u64, random: &mut SmallRng) -> Option<u64> {
        let back = random.random_range(1..=REPLAY_BACK_MAX.min(number).max(1));
        let from = number.checked_sub(back)?;
        (from.saturating_sub(REPLAY_BACK_MAX)..=from)
            .rev()
            .find(|candidate| matches!(self.draw_kind(&mut self.random(*candidate)), DrawnKind::Own(_)))
    }

    fn order(&self, number: u64, origin: u64, kind: RequestKind, random: &mut SmallRng) -> RequestSpec {
        let user = self.user_law.sample(random) as u32 - 1;
        let first_sku = self.sku_law.sample(random) as u32 - 1;
        let lines_max = (self.buyers.lines_max as usize).min(self.skus.len()).min(LINES_MAX);
        let lines = random.random_range(1..=lines_max);
        let mut quantities = [0; LINES_MAX];
        for (line, quantity) in quantities.iter_mut().take(lines).enumerate() {
            let limit = self.sale_sku(first_sku, line).terms.per_user_limit.unwrap_or(u32::MAX);
            let limit = limit.min(self.buyers.quantity_max);
            *quantity = random.random_range(1..=limit) as u16;
        }
        RequestSpec {
            number,
            origin,
            kind,
            user,
            first_sku,
            lines: lines as u8,
            quantities,
            house: random.random_range(1..2_000),
            phone: random.random_range(0..100_000_000),
            note: None,
        }
    }

    /// The SKU of an order's line: the first one and those that follow in rank, so that each occurs once.
    fn sale_sku(&self, first_sku: u32, line: usize) -> &SaleSku {
        &self.skus[self.sku_rank(first_sku, line)]
    }

    const fn sku_rank(&self, first_sku: u32, line: usize) -> usize {
        (first_sku as usize + line) % self.skus.len()
    }

    /// Number of buyers.
    pub(crate) const fn users(&self) -> u32 {
        self.buyers.users
    }

    pub fn user_id(&self, spec: &RequestSpec) -> String {
        format!("{}{}", self.user_prefix, spec.user)
    }

    pub fn idempotency_key(&self, spec: &RequestSpec) -> String {
        format!("{:016x}-{}", self.run_id, spec.origin)
    }

    /// The order id and digest that `spec` must get, derived here so that a response can be compared; `None` for an
    /// invalid request.
    pub fn expected(&self, spec: &RequestSpec) -> Option<(OrderId, PayloadDigest)> {
        if matches!(spec.kind, RequestKind::Invalid(_)) {
            return None;
        }
        Some((self.order_id(spec)?, PayloadDigest::of(&self.request(spec)?)))
    }

    /// The order in the body of `spec`; for an invalid request, before the corruption. `None` if a name of the scenario
    /// breaks the order's rules.
    pub fn request(&self, spec: &RequestSpec) -> Option<Order> {
        let line = |text: &str| AddressLine::parse(text).ok();
        let items = (0..usize::from(spec.lines)).map(|line| {
            let sku = Sku::parse(&self.sale_sku(spec.first_sku, line).name).ok()?;
            Some(Item { sku, quantity: Quantity::new(u32::from(spec.quantities[line]))? })
        });
        let client_reference = match spec.note {
            Some(note) => Some(ClientReference::parse(&format!("changed-{note}")).ok()?),
            None => None,
        };
        Some(Order {
            sale_id: SaleId::parse(&self.sale_id).ok()?,
            user_id: UserId::parse(&self.user_id(spec)).ok()?,
            items: Items::new(items.collect::<Option<_>>()?).ok()?,
            currency: Currency::parse(&self.currency).ok()?,
            shipping_address: ShippingAddress {
                recipient: line(&format!("Buyer {}", spec.user))?,
                line1: line(&format!("{} Nanjing Road", spec.house))?,
                line2: None,
                city: line("Shanghai")?,
                region: None,
                postal_code: Some(line("200001")?),
                country: Country::parse("CN").ok()?,
                phone: Some(line(&format!("+86 130 {:08}", spec.phone))?),
            },
            client_reference,
        })
    }
}

/// `address` as the drain stores it: a line each, empty if it is absent.
pub fn stored_address(address: &ShippingAddress) -> String {
    let part = |part: &Option<AddressLine>| part.as_ref().map_or("", AddressLine::as_str).to_owned();
    [
        address.recipient.as_str(),
        address.line1.as_str(),
        &part(&address.line2),
        address.city.as_str(),
        &part(&address.region),
        &part(&address.postal_code),
        address.country.as_str(),
        &part(&address.phone),
    ]
    .join("\n")
}

#[cfg(test)]
mod tests;
