//! The power management chip of a Raspberry Pi 5, asked through its firmware by `vcgencmd pmic_read_adc`.
//!
//! Each line tells a voltage or a current: `VDD_CORE_A current(7)=1.20300000A`, `VDD_CORE_V volt(15)=0.72020000V`.
//! The form is that which public programs parse; no board has been asked yet. Every reading starts a process, which
//! costs the board more than any other source does: `--observer-cost` says how much.

use super::{Described, Rhythm, Source};
use scalebench_boards::sensor::Conversion;
use scalebench_wire::message::{RailFault, Tier};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};

/// From one reading to the next, in nanoseconds.
const INTERVAL: u64 = 100_000_000;
/// Relative error assumed: none is documented.
const TOLERANCE: f32 = 0.05;

/// All outputs of the chip that have a voltage and a current, together.
#[derive(Debug)]
pub struct Pmic {
    name: String,
    program: String,
}

impl Pmic {
    /// Asks `program` once.
    ///
    /// # Errors
    /// A sentence.
    pub fn find(name: &str, program: &str) -> Result<Self, String> {
        let pmic = Self {
            name: name.to_owned(),
            program: program.to_owned(),
        };
        match pmic.watts() {
            Some(_) => Ok(pmic),
            None => Err(format!(
                "`{program} pmic_read_adc` tells no voltages and currents: it is a Raspberry Pi 5's, and asks for \
                 /dev/vcio"
            )),
        }
    }

    fn watts(&self) -> Option<f64> {
        let output = Command::new(&self.program)
            .arg("pmic_read_adc")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        watts(&String::from_utf8_lossy(&output.stdout)).filter(|_| output.status.success())
    }
}

/// The sum of voltage times current over all outputs that have both; `None` if there is none.
fn watts(text: &str) -> Option<f64> {
    let mut outputs: BTreeMap<&str, (Option<f64>, Option<f64>)> = BTreeMap::new();
    for line in text.lines() {
        let Some((label, value)) = line.split_once('=') else {
            continue;
        };
        let name = label.split_whitespace().next().unwrap_or_default();
        let number = |unit: char| value.trim().strip_suffix(unit)?.parse().ok();
        if let Some(output) = name.strip_suffix("_V") {
            outputs.entry(output).or_default().0 = number('V');
        } else if let Some(output) = name.strip_suffix("_A") {
            outputs.entry(output).or_default().1 = number('A');
        }
    }
    let products = outputs
        .values()
        .filter_map(|(volts, amperes)| Some((*volts)? * (*amperes)?));
    products.reduce(|sum, watts| sum + watts)
}

impl Source for Pmic {
    fn tier(&self) -> Tier {
        Tier::BoardRail
    }

    fn rails(&self) -> Vec<Described> {
        vec![Described::power(&self.name, TOLERANCE)]
    }

    fn configure(&mut self, _: Conversion) -> Result<Rhythm, RailFault> {
        Ok(Rhythm {
            interval: INTERVAL,
            age: 0,
            coverage: 0.0,
        })
    }

    fn is_ready(&mut self) -> Result<bool, RailFault> {
        Ok(true)
    }

    fn read(&mut self, _: usize) -> Result<(i32, i32), RailFault> {
        let watts = self.watts().ok_or(RailFault::Unreadable)?;
        Ok((1, (watts * 1e6).round() as i32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    const TOLD: &str = "     3V3_SYS_A current(1)=0.05000000A\n     VDD_CORE_A current(7)=1.20000000A\n\
                        \x20    3V3_SYS_V volt(9)=3.30000000V\n    VDD_CORE_V volt(15)=0.72000000V\n\
                        \x20     EXT5V_V volt(24)=5.12000000V\n       BATT_V volt(25)=0.00488200V\n";

    #[test]
    fn outputs_with_voltage_and_current_are_added_up() {
        let sum = watts(TOLD).unwrap();
        assert!((sum - (3.3 * 0.05 + 0.72 * 1.2)).abs() < 1e-9, "{sum}");
        assert_eq!(watts("EXT5V_V volt(24)=5.12V\n"), None);
        assert_eq!(
            watts("error=1 error_msg=\"Command not registered\"\n"),
            None
        );
    }

    #[test]
    fn the_program_is_asked_and_one_that_knows_nothing_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("vcgencmd");
        fs::write(folder.path().join("told"), TOLD).unwrap();
        let script = format!("#!/bin/sh\ncat {}/told\n", folder.path().display());
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let program = program.to_str().unwrap();
        let mut pmic = Pmic::find("outputs", program).unwrap();
        assert_eq!(pmic.read(0), Ok((1, 1_029_000)));
        fs::write(folder.path().join("told"), "nothing").unwrap();
        assert_eq!(pmic.read(0), Err(RailFault::Unreadable));
        let error = Pmic::find("outputs", program).unwrap_err();
        assert!(error.contains("Raspberry Pi 5's"), "{error}");
    }
}
