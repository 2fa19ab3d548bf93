//! Quantities a person types: `20ms`, `1.5 MiB`, `300k`.

/// Nanoseconds of a duration such as `20ms`.
///
/// # Errors
/// A sentence that says what would be understood.
pub fn duration(text: &str) -> Result<f64, String> {
    let units = [
        ("ns", 1.0),
        ("us", 1e3),
        ("µs", 1e3),
        ("ms", 1e6),
        ("s", 1e9),
    ];
    quantity(text, &units, "a duration such as 500us, 20ms or 1.5s")
}

/// Bytes of a size such as `64KiB`.
///
/// # Errors
/// A sentence that says what would be understood.
pub fn bytes(text: &str) -> Result<f64, String> {
    let units = [
        ("KiB", 1024.0),
        ("MiB", 1_048_576.0),
        ("GiB", 1_073_741_824.0),
        ("kB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("B", 1.0),
    ];
    quantity(text, &units, "a size such as 64KiB, 2MiB or 500kB")
}

/// Joules of an energy such as `5mJ`.
///
/// # Errors
/// A sentence that says what would be understood.
pub fn energy(text: &str) -> Result<f64, String> {
    let units = [
        ("nJ", 1e-9),
        ("uJ", 1e-6),
        ("µJ", 1e-6),
        ("mJ", 1e-3),
        ("J", 1.0),
    ];
    quantity(text, &units, "an energy such as 300uJ, 5mJ or 1.5J")
}

/// Volts of a voltage such as `3300mV`.
///
/// # Errors
/// A sentence that says what would be understood.
pub fn voltage(text: &str) -> Result<f64, String> {
    let units = [("mV", 1e-3), ("V", 1.0)];
    quantity(text, &units, "a voltage such as 3.3V or 5000mV")
}

/// Amperes of a current such as `20uA`.
///
/// # Errors
/// A sentence that says what would be understood.
pub fn current(text: &str) -> Result<f64, String> {
    let units = [
        ("nA", 1e-9),
        ("uA", 1e-6),
        ("µA", 1e-6),
        ("mA", 1e-3),
        ("A", 1.0),
    ];
    quantity(text, &units, "a current such as 500nA, 20uA or 1.5mA")
}

/// Watts of a power such as `2mW`.
///
/// # Errors
/// A sentence that says what would be understood.
pub fn power(text: &str) -> Result<f64, String> {
    let units = [
        ("nW", 1e-9),
        ("uW", 1e-6),
        ("µW", 1e-6),
        ("mW", 1e-3),
        ("W", 1.0),
    ];
    quantity(text, &units, "a power such as 10uW, 2mW or 1.5W")
}

/// A count such as `300k`.
///
/// # Errors
/// A sentence that says what would be understood.
pub fn count(text: &str) -> Result<f64, String> {
    let units = [("k", 1e3), ("M", 1e6), ("G", 1e9), ("", 1.0)];
    quantity(text, &units, "a count such as 5000, 300k or 2.5M")
}

/// A share such as `2%` or `0.02`.
///
/// # Errors
/// A sentence that says what would be understood.
pub fn share(text: &str) -> Result<f64, String> {
    let share = quantity(
        text,
        &[("%", 0.01), ("", 1.0)],
        "a share such as 2% or 0.02",
    )?;
    if share < 1.0 {
        Ok(share)
    } else {
        Err("a share is less than 100%: write 2% or 0.02".to_owned())
    }
}

fn quantity(text: &str, units: &[(&str, f64)], wanted: &str) -> Result<f64, String> {
    let found = units.iter().find_map(|(unit, factor)| {
        let number: f64 = text.trim().strip_suffix(unit)?.trim_end().parse().ok()?;
        Some(number * factor)
    });
    match found {
        Some(value) if value.is_finite() && value > 0.0 => Ok(value),
        _ => Err(format!("write {wanted}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_units() {
        assert_eq!(duration("20ms"), Ok(20e6));
        assert_eq!(duration("1.5 s"), Ok(1.5e9));
        assert_eq!(bytes("2MiB"), Ok(2_097_152.0));
        assert_eq!(bytes("12B"), Ok(12.0));
        assert_eq!(count("300k"), Ok(300e3));
        assert_eq!(energy("1.5J"), Ok(1.5));
        assert_eq!(energy("300 uJ"), Ok(300.0 * 1e-6));
        assert_eq!(share("2%"), Ok(0.02));
        assert_eq!(voltage("5000mV"), Ok(5.0));
        assert_eq!(current("1.5 mA"), Ok(1.5 * 1e-3));
        assert_eq!(power("2W"), Ok(2.0));
    }

    #[test]
    fn what_is_none_says_what_would_be() {
        let error = duration("20").unwrap_err();
        assert_eq!(error, "write a duration such as 500us, 20ms or 1.5s");
        for wrong in ["-1ms", "nanms", "ms", "", "infs"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(share("150%").unwrap_err().contains("less than 100%"));
    }
}
