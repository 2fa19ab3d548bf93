//! What a meter's maker promises: a share of the reading and an offset, `0.5%+20uA`.

use crate::quantity;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Limits of a meter's error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Of the reading.
    pub share: f64,
    /// Whatever is read.
    pub offset: Option<Offset>,
}

/// An offset.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offset {
    /// Of the current.
    Amperes(f64),
    /// Of the power.
    Watts(f64),
}

impl FromStr for Accuracy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            |_| "write a share and perhaps an offset, such as 1%, 0.5%+20uA or 1%+2mW".to_owned();
        let offset = |text: &str| {
            let amperes = quantity::current(text).map(Offset::Amperes);
            amperes.or_else(|_| quantity::power(text).map(Offset::Watts))
        };
        let (share, beside) = match text.split_once('+') {
            Some((share, beside)) => (share, Some(offset(beside).map_err(wrong)?)),
            None => (text, None),
        };
        Ok(Self {
            share: quantity::share(share).map_err(wrong)?,
            offset: beside,
        })
    }
}

impl fmt::Display for Accuracy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // To six decimals: nobody promises more, and no binary fraction is shown in full.
        let round = |value: f64| (value * 1e6).round() / 1e6;
        write!(f, "{} % of the reading", round(self.share * 100.0))?;
        match self.offset {
            None => Ok(()),
            Some(Offset::Amperes(amperes)) => write!(f, " and {} mA", round(amperes * 1e3)),
            Some(Offset::Watts(watts)) => write!(f, " and {} mW", round(watts * 1e3)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_a_share_and_perhaps_an_offset() {
        let promise = |text: &str| text.parse::<Accuracy>();
        let share = 0.005;
        let of = |offset| Ok(Accuracy { share, offset });
        assert_eq!(promise("0.5%"), of(None));
        assert_eq!(promise("0.5%+20uA"), of(Some(Offset::Amperes(20.0 * 1e-6))));
        assert_eq!(promise("0.5% + 2 mW"), of(Some(Offset::Watts(2.0 * 1e-3))));
        for wrong in ["20uA", "0.5%+20", "0.5%+", "", "101%"] {
            assert!(promise(wrong).unwrap_err().contains("0.5%+20uA"), "{wrong}");
        }
        let told = promise("0.5%+20uA").unwrap().to_string();
        assert_eq!(told, "0.5 % of the reading and 0.02 mA");
    }
}
