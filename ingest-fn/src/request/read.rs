//! Reads a body once, from front to back. A fault of a value is recorded with its pointer and the reading goes on; a
//! fault of count or size ends it.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr_iter, memrchr};
use shared::order::{
    AddressLine, ClientReference, Country, Currency, FieldError, ITEMS_MAX, ItemsError, Quantity, SaleId,
    ShippingAddress, Sku, UserId,
};
use shared::problem::FieldProblem;

use super::draft::{FaultyOrder, LineDraft, OrderDraft};
use super::number::{WHOLE_NUMBER_MAX, WholeNumber, parse_whole_number};
use super::scanner::{DEPTH_MAX, QuotedText, ScanEnd, Scanner, TEXT_BYTES_MAX, VALUES_MAX, Value};
use super::{FieldFault, OrderRequest};

/// Maximum problems of one body, the catalogue's not counted: enough for every field of an order.
pub(super) const PROBLEMS_MAX: usize = 64;

/// Reason why a body is not an order. Contains nothing personal but in `FaultyOrder`, whose `Debug` is masked.
#[derive(Debug)]
pub enum ReadError {
    NotJson(FieldProblem),
    /// The body names another buyer than the gateway.
    OtherBuyer,
    Faulty(FaultyOrder),
}

/// Reads `body`. `buyer` is the gateway's name of the buyer, which the body may omit.
///
/// # Errors
/// [`ReadError`]; the catalogue's rules are not checked here.
pub fn read_order<'a>(body: &'a [u8], buyer: Option<&UserId>) -> Result<OrderRequest<'a>, ReadError> {
    let text = std::str::from_utf8(body).map_err(|error| not_json(body, error.valid_up_to()))?;
    let mut reader = Reader { scanner: Scanner::new(text), problems: Vec::new() };
    let mut draft = OrderDraft::default();
    match reader.body(&mut draft, buyer.is_some()) {
        Ok(()) | Err(ReadEnd::Enough) => {}
        Err(ReadEnd::Scan(ScanEnd::TooComplex)) => reader.problems.push(FieldFault::TooComplex.at(
            String::new(),
            format!("the body has more than {VALUES_MAX} values, or nests them more than {DEPTH_MAX} deep"),
        )),
        // Of a name, or of an unknown member.
        Err(ReadEnd::Scan(ScanEnd::LongText)) => reader.problems.push(
            FieldFault::TooComplex
                .at(String::new(), format!("the body has a text of more than {TEXT_BYTES_MAX} bytes")),
        ),
        Err(ReadEnd::Scan(ScanEnd::NotJson(at))) => return Err(not_json(body, at)),
    }
    if let (Some(named), Some(buyer)) = (&draft.user_id, buyer)
        && named != buyer
    {
        return Err(ReadError::OtherBuyer);
    }
    draft.into_request(reader.problems, buyer).map_err(ReadError::Faulty)
}

fn not_json(body: &[u8], at: usize) -> ReadError {
    let before = &body[..at];
    let line_start = memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    let line = 1 + memchr_iter(b'\n', before).count();
    let column = 1 + at - line_start;
    let detail = format!("the body is not JSON at line {line}, byte {column}");
    ReadError::NotJson(FieldFault::NotJson.at(String::new(), detail))
}

/// Reason why no more of the body is read.
enum ReadEnd {
    Scan(ScanEnd),
    /// A bound of count is exceeded; the problem is recorded.
    Enough,
}

impl From<ScanEnd> for ReadEnd {
    fn from(end: ScanEnd) -> Self {
        Self::Scan(end)
    }
}

/// An object of the body.
#[derive(Clone, Copy)]
enum Place {
    Body,
    Item(usize),
    Address,
}

impl Place {
    /// Nesting of the object's members.
    const fn depth(self) -> usize {
        match self {
            Self::Body => 2,
            Self::Address => 3,
            Self::Item(_) => 4,
        }
    }

    /// JSON pointer of the member `name`, which needs no escaping (RFC 6901).
    fn member(self, name: &str) -> String {
        format!("{self}/{name}")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => Ok(()),
            Self::Item(index) => write!(formatter, "/items/{index}"),
            Self::Address => formatter.write_str("/shipping_address"),
        }
    }
}

/// Presence of a member in its object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    /// Absent or null.
    Optional,
}

use Presence::{Optional, Required};

struct Reader<'a> {
    scanner: Scanner<'a>,
    problems: Vec<FieldProblem>,
}

impl<'a> Reader<'a> {
    fn report(
        &mut self,
        fault: FieldFault,
        pointer: String,
        detail: impl Into<Cow<'static, str>>,
    ) -> Result<(), ReadEnd> {
        self.problems.push(fault.at(pointer, detail));
        if self.problems.len() < PROBLEMS_MAX { Ok(()) } else { Err(ReadEnd::Enough) }
    }

    fn body(&mut self, draft: &mut OrderDraft<'a>, buyer_is_known: bool) -> Result<(), ReadEnd> {
        match self.scanner.value()? {
            Value::Object => self.order(draft, buyer_is_known)?,
            other => {
                self.scanner.skip(other, 1)?;
                self.report(FieldFault::WrongType, String::new(), "must be an object")?;
            }
        }
        Ok(self.scanner.end()?)
    }

    fn order(&mut self, draft: &mut OrderDraft<'a>, buyer_is_known: bool) -> Result<(), ReadEnd> {
        let place = Place::Body;
        let user = if buyer_is_known { Optional } else { Required };
        let members = [
            ("sale_id", Required),
            ("user_id", user),
            ("items", Required),
            ("currency", Required),
            ("shipping_address", Required),
            ("client_reference", Optional),
            ("expected_total_minor", Optional),
        ];
        self.members(place, &members, |reader, index| {
            let (name, presence) = members[index];
            match index {
                0 => draft.sale_id = reader.text(place, name, presence, SaleId::parse)?,
                1 => draft.user_id = reader.text(place, name, presence, UserId::parse)?,
                2 => reader.items(&mut draft.lines)?,
                3 => draft.currency = reader.text(place, name, presence, Currency::parse)?,
                4 => draft.shipping_address = reader.address()?,
                5 => draft.client_reference = reader.text(place, name, presence, ClientReference::parse)?,
                _ => draft.expected_total_minor = reader.expected_total(place, name)?,
            }
            Ok(())
        })
    }

    /// Reads the members of the object that the scanner has entered; `read` reads the value of the known member at an
    /// index.
    fn members(
        &mut self,
        place: Place,
        known: &[(&'static str, Presence)],
        mut read: impl FnMut(&mut Self, usize) -> Result<(), ReadEnd>,
    ) -> Result<(), ReadEnd> {
        let mut seen = 0_u32;
        let mut is_first = true;
        while let Some(name) = self.scanner.next_member(&mut is_first)? {
            let index = self.known_member(name, known);
            match index {
                Some(index) if seen & (1 << index) == 0 => {
                    seen |= 1 << index;
                    match read(self, index) {
                        Err(ReadEnd::Scan(ScanEnd::LongText)) => {
                            let detail =
                                format!("must be at most {TEXT_BYTES_MAX} bytes long as it is written");
                            self.report(FieldFault::TooLong, place.member(known[index].0), detail)?;
                            return Err(ReadEnd::Enough);
                        }
                        read => read?,
                    }
                }
                Some(index) => {
                    self.skip_value(place)?;
                    let pointer = place.member(known[index].0);
                    self.report(FieldFault::DuplicateMember, pointer, "the member is given twice")?;
                }
                None => {
                    self.skip_value(place)?;
                    let detail = "the member is not known; check its spelling";
                    self.report(FieldFault::UnknownMember, unknown_member(place, name), detail)?;
                }
            }
        }
        for (index, (name, presence)) in known.iter().enumerate() {
            if *presence == Required && seen & (1 << index) == 0 {
                self.report(FieldFault::Required, place.member(name), "is missing")?;
            }
        }
        Ok(())
    }

    fn known_member(&self, name: QuotedText<'a>, known: &[(&'static str, Presence)]) -> Option<usize> {
        let name = name.resolve()?;
        known.iter().position(|(known, _)| *known == name)
    }

    fn skip_value(&mut self, place: Place) -> Result<(), ReadEnd> {
        let value = self.scanner.value()?;
        Ok(self.scanner.skip(value, place.depth())?)
    }

    fn wrong_type(
        &mut self,
        value: Value<'a>,
        place: Place,
        name: &str,
        expected: &'static str,
    ) -> Result<(), ReadEnd> {
        self.scanner.skip(value, place.depth())?;
        self.report(FieldFault::WrongType, place.member(name), expected)
    }

    fn text<T>(
        &mut self,
        place: Place,
        name: &str,
        presence: Presence,
        parse: impl FnOnce(&str) -> Result<T, FieldError>,
    ) -> Result<Option<T>, ReadEnd> {
        match self.scanner.value()? {
            Value::Text(text) => self.parsed(place, name, text.resolve().as_deref(), parse),
            Value::Null if presence == Optional => Ok(None),
            other => self.wrong_type(other, place, name, "must be a string").map(|()| None),
        }
    }

    /// Parses `text`, which is `None` if its escapes are no text.
    fn parsed<T>(
        &mut self,
        place: Place,
        name: &str,
        text: Option<&str>,
        parse: impl FnOnce(&str) -> Result<T, FieldError>,
    ) -> Result<Option<T>, ReadEnd> {
        let Some(text) = text else {
            let detail = "has half of a surrogate pair";
            return self.report(FieldFault::InvalidFormat, place.member(name), detail).map(|()| None);
        };
        match parse(text) {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                let fault = match error {
                    FieldError::Empty => FieldFault::Required,
                    FieldError::TooLong { .. } => FieldFault::TooLong,
                    FieldError::Characters { .. } => FieldFault::InvalidFormat,
                };
                self.report(fault, place.member(name), error.to_string()).map(|()| None)
            }
        }
    }

    fn items(&mut self, lines: &mut Vec<LineDraft<'a>>) -> Result<(), ReadEnd> {
        match self.scanner.value()? {
            Value::Array => {}
            other => return self.wrong_type(other, Place::Body, "items", "must be an array"),
        }
        let wrong_count = |reader: &mut Self| {
            let detail = ItemsError::Count.to_string();
            reader.report(FieldFault::WrongCount, Place::Body.member("items"), detail)
        };
        let mut is_first = true;
        while self.scanner.next_element(&mut is_first)? {
            if lines.len() == ITEMS_MAX {
                wrong_count(self)?;
                return Err(ReadEnd::Enough);
            }
            let line = self.item(lines)?;
            lines.push(line);
        }
        if lines.is_empty() { wrong_count(self) } else { Ok(()) }
    }

    fn item(&mut self, earlier: &[LineDraft<'a>]) -> Result<LineDraft<'a>, ReadEnd> {
        let mut line = LineDraft { text: Cow::Borrowed(""), sku: None, quantity: None };
        let place = Place::Item(earlier.len());
        match self.scanner.value()? {
            Value::Object => {}
            other => {
                self.scanner.skip(other, 3)?;
                self.report(FieldFault::WrongType, place.to_string(), "must be an object")?;
                return Ok(line);
            }
        }
        self.members(place, &[("sku", Required), ("quantity", Required)], |reader, index| {
            if index == 0 { reader.sku(place, earlier, &mut line) } else { reader.quantity(place, &mut line) }
        })?;
        Ok(line)
    }

    fn sku(
        &mut self,
        place: Place,
        earlier: &[LineDraft<'a>],
        line: &mut LineDraft<'a>,
    ) -> Result<(), ReadEnd> {
        let text = match self.scanner.value()? {
            Value::Text(text) => text.resolve(),
            other => return self.wrong_type(other, place, "sku", "must be a string"),
        };
        line.sku = self.parsed(place, "sku", text.as_deref(), Sku::parse)?;
        line.text = text.unwrap_or_default();
        if line.sku.is_some() && earlier.iter().any(|earlier| earlier.text == line.text) {
            let detail = ItemsError::DuplicateSku { index: earlier.len() }.to_string();
            self.report(FieldFault::DuplicateSku, place.member("sku"), detail)?;
        }
        Ok(())
    }

    fn quantity(&mut self, place: Place, line: &mut LineDraft<'a>) -> Result<(), ReadEnd> {
        let bounds = 1..=i64::from(Quantity::MAX);
        let value = self.whole_number(place, "quantity", Required, bounds)?;
        line.quantity = value.and_then(|value| Quantity::new(u32::try_from(value).ok()?));
        Ok(())
    }

    fn expected_total(&mut self, place: Place, name: &str) -> Result<Option<i64>, ReadEnd> {
        self.whole_number(place, name, Optional, 0..=WHOLE_NUMBER_MAX)
    }

    fn whole_number(
        &mut self,
        place: Place,
        name: &str,
        presence: Presence,
        bounds: std::ops::RangeInclusive<i64>,
    ) -> Result<Option<i64>, ReadEnd> {
        let number = match self.scanner.value()? {
            Value::Number(number) => number,
            Value::Null if presence == Optional => return Ok(None),
            other => return self.wrong_type(other, place, name, "must be a whole number").map(|()| None),
        };
        match parse_whole_number(number) {
            WholeNumber::Fraction => {
                self.report(FieldFault::WrongType, place.member(name), "must be a whole number")?;
            }
            WholeNumber::Value(value) if bounds.contains(&value) => return Ok(Some(value)),
            WholeNumber::Value(_) | WholeNumber::Huge => {
                let detail = format!("must be {} to {}", bounds.start(), bounds.end());
                self.report(FieldFault::OutOfRange, place.member(name), detail)?;
            }
        }
        Ok(None)
    }

    fn address(&mut self) -> Result<Option<ShippingAddress>, ReadEnd> {
        match self.scanner.value()? {
            Value::Object => {}
            other => {
                return self
                    .wrong_type(other, Place::Body, "shipping_address", "must be an object")
                    .map(|()| None);
            }
        }
        let place = Place::Address;
        let members = [
            ("recipient", Required),
            ("line1", Required),
            ("line2", Optional),
            ("city", Required),
            ("region", Optional),
            ("postal_code", Optional),
            ("phone", Optional),
            ("country", Required),
        ];
        let mut lines: [Option<AddressLine>; 7] = Default::default();
        let mut country = None;
        self.members(place, &members, |reader, index| {
            let (name, presence) = members[index];
            match lines.get_mut(index) {
                Some(line) => *line = reader.text(place, name, presence, AddressLine::parse)?,
                None => country = reader.text(place, name, presence, Country::parse)?,
            }
            Ok(())
        })?;
        let [recipient, line1, line2, city, region, postal_code, phone] = lines;
        let (Some(recipient), Some(line1), Some(city), Some(country)) = (recipient, line1, city, country)
        else {
            return Ok(None);
        };
        Ok(Some(ShippingAddress { recipient, line1, line2, city, region, postal_code, country, phone }))
    }
}

/// Pointer of an unknown member. A name that does not look like a member's is omitted, because it may be personal data;
/// the pointer is then the object's.
fn unknown_member(place: Place, name: QuotedText<'_>) -> String {
    let is_like_a_member = |name: &Cow<'_, str>| {
        name.len() <= 32
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match name.resolve().filter(is_like_a_member) {
        Some(name) => place.member(&name),
        None => place.to_string(),
    }
}

#[cfg(test)]
mod tests;
