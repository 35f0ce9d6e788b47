//! Writes a request as HTTP/1.1, without going through a value: at 50,000 requests a second each allocation counts.
//! A test holds what is written here against [`Workload::request`].

use super::{Draft, Invalid, Kind, Workload};

/// Padding of a body that is too large.
static PADDING: [u8; 20 * 1024] = [b'x'; 20 * 1024];

/// Buffers that are used again.
#[derive(Default)]
pub struct Renderer {
    body: Vec<u8>,
    number: itoa::Buffer,
}

impl std::fmt::Debug for Renderer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Renderer").finish_non_exhaustive()
    }
}

impl Renderer {
    /// Appends `draft` to `out` as a whole request to `host`. Returns the length of its head, bytes.
    pub fn render(&mut self, workload: &Workload, draft: &Draft, host: &str, out: &mut Vec<u8>) -> usize {
        let invalid = match draft.kind {
            Kind::Invalid(invalid) => Some(invalid),
            _ => None,
        };
        self.body.clear();
        self.body(workload, draft, invalid);
        self.head(workload, draft, invalid, host, out)
    }

    fn head(
        &mut self,
        workload: &Workload,
        draft: &Draft,
        invalid: Option<Invalid>,
        host: &str,
        out: &mut Vec<u8>,
    ) -> usize {
        let before = out.len();
        out.extend_from_slice(match invalid {
            Some(Invalid::WrongMethod) => b"PUT /v1/orders HTTP/1.1\r\nhost: ",
            Some(Invalid::WrongPath) => b"POST /v1/order HTTP/1.1\r\nhost: ",
            _ => b"POST /v1/orders HTTP/1.1\r\nhost: ",
        });
        out.extend_from_slice(host.as_bytes());
        out.extend_from_slice(match invalid {
            Some(Invalid::WrongMediaType) => b"\r\ncontent-type: application/x-www-form-urlencoded",
            _ => b"\r\ncontent-type: application/json",
        });
        let keys = match invalid {
            Some(Invalid::NoKey) => 0,
            Some(Invalid::TwoKeys) => 2,
            _ => 1,
        };
        for _ in 0..keys {
            out.extend_from_slice(b"\r\nidempotency-key: ");
            hex_u64(workload.run_id, out);
            out.push(b'-');
            out.extend_from_slice(self.number.format(draft.origin).as_bytes());
        }
        out.extend_from_slice(b"\r\ncontent-length: ");
        out.extend_from_slice(self.number.format(self.body.len()).as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
        let head_bytes = out.len() - before;
        out.extend_from_slice(&self.body);
        head_bytes
    }

    fn body(&mut self, workload: &Workload, draft: &Draft, invalid: Option<Invalid>) {
        self.text(b"{\"sale_id\":\"");
        self.text(match invalid {
            Some(Invalid::UnknownSale) => b"no-such-sale",
            _ => workload.sale_id.as_bytes(),
        });
        self.text(b"\",\"user_id\":\"user-");
        self.digits(draft.user);
        self.text(b"\",\"items\":[");
        for line in 0..usize::from(draft.lines) {
            self.text(if line == 0 { b"{\"sku\":\"" } else { b",{\"sku\":\"" });
            self.text(match invalid {
                Some(Invalid::UnknownSku) if line == 0 => b"NOT-ON-SALE",
                _ => workload.article(draft.first_sku, line).sku.as_bytes(),
            });
            self.text(b"\",\"quantity\":");
            self.digits(match invalid {
                Some(Invalid::QuantityZero) if line == 0 => 0,
                _ => u32::from(draft.quantities[line]),
            });
            self.text(b"}");
        }
        self.text(b"],\"currency\":\"");
        self.text(match invalid {
            Some(Invalid::WrongCurrency) => b"XTS",
            _ => workload.currency.as_bytes(),
        });
        self.text(b"\",\"shipping_address\":{\"recipient\":\"Buyer ");
        self.digits(draft.user);
        self.text(b"\",\"line1\":\"");
        self.digits(u32::from(draft.house));
        self.text(b" Nanjing Road\",\"city\":\"Shanghai\",\"postal_code\":\"200001\",\"country\":\"CN\",\"phone\":\"+86 130 ");
        // 8 digits, leading zeros kept: a 1 in front is cut off again.
        let phone = self.number.format(100_000_000 + draft.phone).as_bytes();
        self.body.extend_from_slice(&phone[1..]);
        self.text(b"\"}");
        if let Some(note) = draft.note {
            self.text(b",\"client_reference\":\"changed-");
            self.digits(note);
            self.text(b"\"");
        }
        match invalid {
            Some(Invalid::UnknownMember) => self.text(b",\"prize\":1}"),
            Some(Invalid::TooLarge) => {
                self.text(b",\"client_reference\":\"");
                self.text(&PADDING);
                self.text(b"\"}");
            }
            Some(Invalid::BrokenJson) => {}
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
