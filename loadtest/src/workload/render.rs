//! Renders a request as HTTP/1.1 directly: at 50,000 requests a second each allocation counts. A test compares the
//! result with [`Workload::request`].

use http::Method;

use super::{InvalidRequest, RequestKind, RequestSpec, Workload};
use crate::target::{RequestFields, RequestHead};

/// Padding of an oversized body.
static PADDING: [u8; 20 * 1024] = [b'x'; 20 * 1024];

#[derive(Default)]
pub struct RequestRenderer {
    body: Vec<u8>,
    number: itoa::Buffer,
}

impl std::fmt::Debug for RequestRenderer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Renderer").finish_non_exhaustive()
    }
}

impl RequestRenderer {
    /// Appends `spec` to `out` as a complete request with `further` in its head. Returns the length of its head, bytes.
    pub fn render(
        &mut self,
        workload: &Workload,
        spec: &RequestSpec,
        further: &RequestHead,
        out: &mut Vec<u8>,
    ) -> usize {
        let invalid = match spec.kind {
            RequestKind::Invalid(invalid) => Some(invalid),
            _ => None,
        };
        self.body.clear();
        self.body(workload, spec, invalid);
        self.head(workload, spec, invalid, further, out)
    }

    fn head(
        &mut self,
        workload: &Workload,
        spec: &RequestSpec,
        invalid: Option<InvalidRequest>,
        further: &RequestHead,
        out: &mut Vec<u8>,
    ) -> usize {
        let before = out.len();
        let method = match invalid {
            Some(InvalidRequest::WrongMethod) => Method::PUT,
            _ => Method::POST,
        };
        let path = match invalid {
            Some(InvalidRequest::WrongPath) => "/v1/order",
            _ => "/v1/orders",
        };
        for text in [method.as_str(), " ", &further.prefix, path, " HTTP/1.1\r\nhost: ", &further.host] {
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(match invalid {
            Some(InvalidRequest::WrongMediaType) => b"\r\ncontent-type: application/x-www-form-urlencoded",
            _ => b"\r\ncontent-type: application/json",
        });
        let keys = match invalid {
            Some(InvalidRequest::NoKey) => 0,
            Some(InvalidRequest::TwoKeys) => 2,
            _ => 1,
        };
        for _ in 0..keys {
            out.extend_from_slice(b"\r\nidempotency-key: ");
            hex_u64(workload.run_id, out);
            out.push(b'-');
            out.extend_from_slice(self.number.format(spec.origin).as_bytes());
        }
        if further.has_headers() {
            let fields = RequestFields {
                method,
                path: &format!("{}{path}", further.prefix),
                body: &self.body,
                is_form: invalid == Some(InvalidRequest::WrongMediaType),
                has_key: keys > 0,
                number: spec.number,
                buyer: spec.user,
                user_id: &workload.user_id(spec),
                idempotency_key: &workload.idempotency_key(spec),
                uuid: u128::from(workload.run_id) << 64 | u128::from(spec.number),
            };
            further.write_headers(&fields, out);
        }
        out.extend_from_slice(b"\r\ncontent-length: ");
        out.extend_from_slice(self.number.format(self.body.len()).as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
        let head_bytes = out.len() - before;
        out.extend_from_slice(&self.body);
        head_bytes
    }

    fn body(&mut self, workload: &Workload, spec: &RequestSpec, invalid: Option<InvalidRequest>) {
        self.text(b"{\"sale_id\":\"");
        self.text(match invalid {
            Some(InvalidRequest::UnknownSale) => InvalidRequest::UNKNOWN_SALE.as_bytes(),
            _ => workload.sale_id.as_bytes(),
        });
        self.text(b"\",\"user_id\":\"");
        self.text(workload.user_prefix.as_bytes());
        self.digits(spec.user);
        self.text(b"\",\"items\":[");
        for line in 0..usize::from(spec.lines) {
            self.text(if line == 0 { b"{\"sku\":\"" } else { b",{\"sku\":\"" });
            self.text(match invalid {
                Some(InvalidRequest::UnknownSku) if line == 0 => b"NOT-ON-SALE",
                _ => workload.sale_sku(spec.first_sku, line).name.as_bytes(),
            });
            self.text(b"\",\"quantity\":");
            self.digits(match invalid {
                Some(InvalidRequest::QuantityZero) if line == 0 => 0,
                _ => u32::from(spec.quantities[line]),
            });
            self.text(b"}");
        }
        self.text(b"],\"currency\":\"");
        self.text(match invalid {
            Some(InvalidRequest::WrongCurrency) => b"XTS",
            _ => workload.currency.as_bytes(),
        });
        self.text(b"\",\"shipping_address\":{\"recipient\":\"Buyer ");
        self.digits(spec.user);
        self.text(b"\",\"line1\":\"");
        self.digits(u32::from(spec.house));
        self.text(b" Nanjing Road\",\"city\":\"Shanghai\",\"postal_code\":\"200001\",\"country\":\"CN\",\"phone\":\"+86 130 ");
        // 8 digits with leading zeros: a leading 1 is cut off.
        let phone = self.number.format(100_000_000 + spec.phone).as_bytes();
        self.body.extend_from_slice(&phone[1..]);
        self.text(b"\"}");
        if let Some(note) = spec.note {
            self.text(b",\"client_reference\":\"changed-");
            self.digits(note);
            self.text(b"\"");
        }
        match invalid {
            Some(InvalidRequest::UnknownMember) => self.text(b",\"prize\":1}"),
            Some(InvalidRequest::TooLarge) => {
                self.text(b",\"client_reference\":\"");
                self.text(&PADDING);
                self.text(b"\"}");
            }
            Some(InvalidRequest::BrokenJson) => {}
            _ => self.text(b"}"),
        }
    }

    fn text(&mut self, text: &[u8]) {
        self.body.extend_from_slice(text);
    }

    fn digits(&mut self, number: u32) {
        self.body.extend_from_slice(self.number.format(number).as_bytes());
    }
}

fn hex_u64(number: u64, out: &mut Vec<u8>) {
    for shift in (0..16).rev() {
        out.push(b"0123456789abcdef"[(number >> (shift * 4)) as usize & 0xf]);
    }
}
