//! A number with a sign before it and a unit after it, as in `<10k` or `>2d`.

/// On which side of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// `<`
    Less,
    /// `>`
    Greater,
}

/// A number with its sign and unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound<'a> {
    /// The sign, if there is one.
    pub(super) sign: Option<Sign>,
    /// The digits; there may be none.
    digits: &'a str,
    /// The unit, if there is one.
    pub(super) unit: Option<char>,
}

impl<'a> Bound<'a> {
    /// Reads a bound whose unit is one of `units`; `None` if the text has another form.
    pub(super) fn read(text: &'a str, units: &[char]) -> Option<Bound<'a>> {
        let (sign, rest) = match (text.strip_prefix('<'), text.strip_prefix('>')) {
            (Some(rest), _) => (Some(Sign::Less), rest),
            (_, Some(rest)) => (Some(Sign::Greater), rest),
            _ => (None, text),
        };
        let unit = rest.chars().next_back().filter(|last| units.contains(last));
        let digits = unit.and_then(|unit| rest.strip_suffix(unit)).unwrap_or(rest);
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then_some(Bound { sign, digits, unit })
    }

    /// Returns the number.
    ///
    /// # Errors
    /// There is none, or it is too big, in Go's words.
    pub(super) fn number(&self) -> Result<u64, String> {
        self.digits.parse().map_err(|_| {
            let why = if self.digits.is_empty() { "invalid syntax" } else { "value out of range" };
            format!("strconv.ParseUint: parsing {:?}: {why}", self.digits)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read() {
        let read = |text| {
            let bound = Bound::read(text, &['k', 'm'])?;
            Some((bound.sign, bound.number(), bound.unit))
        };
        assert_eq!(read("<10k"), Some((Some(Sign::Less), Ok(10), Some('k'))));
        assert_eq!(read(">0"), Some((Some(Sign::Greater), Ok(0), None)));
        assert_eq!(read("007"), Some((None, Ok(7), None)));
        for bad in ["10x", "<>1", "-1", "1.5k", "1kk", " 1", "k1", "1\n"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        let none = "strconv.ParseUint: parsing \"\": invalid syntax".to_owned();
        assert_eq!(read("k"), Some((None, Err(none), Some('k'))));
        let many = "99999999999999999999";
        let text = format!("strconv.ParseUint: parsing {many:?}: value out of range");
        assert_eq!(read(many), Some((None, Err(text), None)));
    }
}
