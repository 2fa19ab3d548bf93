//! Which column of a meter's file is what.
//!
//! The first line names the columns, in any order; a unit may stand behind a name in brackets, and without one it
//! is the SI's. What is not known is overlooked. A line whose power or current is empty says that readings were lost there.
//!
//! | column | names |
//! |---|---|
//! | time | `time`, `timestamp` |
//! | power | `power`, or `voltage` and `current`, or `current` alone with the supply's voltage given |
//! | the same, looked at without pause | `mean power`, `mean current`: each is the mean of an interval, and its time that interval's middle |
//! | trigger | what `--trigger` names, else `trigger`, else `D0` |
//!
//! Forms that are read so:
//!
//! - Nordic PPK2, exported by nRF Connect's Power Profiler: `Timestamp(ms),Current(uA),D0-D7` with the eight inputs as
//!   one word, D0 first, or a column for each, `D0,D1,…,D7`; an input is `0`, `1`, `-` (not recorded) or `X` (both, where
//!   samples were folded into one). Source: its repository NordicSemiconductor/pc-nrfconnect-ppk,
//!   src/actions/exportChartAction.ts.
//! - Joulescope's statistics log, `#time,current,voltage,power,charge,energy` in SI units. It holds none of the general
//!   inputs: a column `trigger` has to be added to it. Source: jetperch/pyjoulescope_examples,
//!   bin/downsample_logging.py.
//! - Anything else that can be written so. The X-NUCLEO-LPM01A is not among what is known: its protocol (ST UM2269)
//!   carries currents and no pin, and no description of its program's files was found.

use csv::ByteRecord;

/// How a line is taken apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns {
    time: Column,
    volts: Option<Column>,
    amperes: Option<Column>,
    watts: Option<Column>,
    trigger: Trigger,
    supply_volts: Option<f64>,
    /// Whether a reading is the mean of its interval, rather than a moment's.
    pub averages: bool,
    /// The names of all these, as they stand in the file.
    pub names: Vec<String>,
}

/// A place in the line and what its unit is in the SI's.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Column {
    at: usize,
    unit: f64,
}

/// A column, or a letter of one.
#[derive(Clone, Debug, PartialEq)]
struct Trigger {
    at: usize,
    letter: Option<usize>,
    name: String,
}

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Seconds.
    pub at: f64,
    /// Volts; one where only the power is told.
    pub volts: f64,
    /// Amperes.
    pub amperes: f64,
    /// Level of the pin; `None` if this line does not tell.
    pub level: Option<bool>,
}

/// What stands between the fields of a file that begins with `start`.
#[must_use]
pub fn separator(start: &[u8]) -> u8 {
    let mut line = start.iter().take_while(|byte| **byte != b'\n');
    if line.any(|byte| *byte == b',') {
        b','
    } else {
        b';'
    }
}

/// The field at a place, without blanks around it; empty where there is none.
fn field(record: &ByteRecord, at: usize) -> &str {
    let field = record.get(at).unwrap_or_default();
    std::str::from_utf8(field).unwrap_or("?").trim()
}

/// A name and its unit: `Current(uA)`, `time [ms]`, `power`.
fn named(field: &str) -> (String, String) {
    let field = field.trim_start_matches('\u{feff}').trim_start_matches('#');
    let field = field.trim().trim_matches('"');
    let (name, unit) = match field.split_once(['(', '[']) {
        Some((name, unit)) => (name, unit.trim_end_matches([')', ']'])),
        None => (field, ""),
    };
    (name.trim().to_ascii_lowercase(), unit.trim().to_owned())
}

/// The unit's worth, if it is one of `base`.
fn worth(unit: &str, base: &str) -> Option<f64> {
    if unit.is_empty() {
        return Some(1.0);
    }
    Some(match unit.strip_suffix(base)? {
        "" => 1.0,
        "m" => 1e-3,
        "u" | "µ" | "μ" => 1e-6,
        "n" => 1e-9,
        _ => return None,
    })
}

impl Columns {
    /// Reads the first line.
    ///
    /// # Errors
    /// What is missing, and the remedy.
    pub fn of(
        line: &ByteRecord,
        trigger: Option<&str>,
        supply_volts: Option<f64>,
    ) -> Result<Self, String> {
        let fields = (0..line.len()).map(|at| named(field(line, at)));
        let fields: Vec<(String, String)> = fields.collect();
        let mut names = Vec::new();
        let mut column = |words: &[&str], base: &str| -> Result<Option<Column>, String> {
            let found = fields
                .iter()
                .position(|(name, _)| words.contains(&name.as_str()));
            let Some(at) = found else {
                return Ok(None);
            };
            let (name, unit) = &fields[at];
            let worth = worth(unit, base).ok_or_else(|| {
                format!(
                    "the unit `{}` of column `{}` is not known: give it in {base}, m{base}, u{base} or n{base}",
                    crate::text::escaped(unit),
                    crate::text::escaped(name)
                )
            })?;
            names.push(name.clone());
            Ok(Some(Column { at, unit: worth }))
        };
        let missing = |what: &str| {
            format!(
                "there is no column `{what}`: the first line must name time, trigger, and power or voltage and current"
            )
        };
        let time = column(&["time", "timestamp"], "s")?.ok_or_else(|| missing("time"))?;
        let watts = column(&["power", "mean power"], "W")?;
        let volts = column(&["voltage"], "V")?;
        let amperes = column(&["current", "mean current"], "A")?;
        let averages = watts
            .or(amperes)
            .is_some_and(|column| fields[column.at].0.starts_with("mean "));
        match (watts, volts, amperes, supply_volts) {
            (Some(_), ..) | (_, Some(_), Some(_), _) | (_, None, Some(_), Some(_)) => {}
            (None, None, Some(_), None) => {
                return Err(
                    "it has currents and no voltage: say with --supply-voltage what the supply was set to"
                        .to_owned(),
                );
            }
            _ => return Err(missing("power")),
        }
        let trigger = Trigger::of(&fields, trigger)?;
        names.push(trigger.name.clone());
        Ok(Self {
            time,
            volts,
            amperes,
            watts,
            trigger,
            supply_volts,
            averages,
            names,
        })
    }

    /// The trigger's name.
    #[must_use]
    pub fn trigger(&self) -> &str {
        &self.trigger.name
    }

    /// Whether rows tell a voltage, rather than power alone.
    #[must_use]
    pub fn has_volts(&self) -> bool {
        self.volts.is_some() || self.supply_volts.is_some()
    }

    /// Takes a line apart; `None` where readings were lost.
    ///
    /// # Errors
    /// What is wrong.
    pub fn row(&self, line: &ByteRecord) -> Result<Option<Row>, String> {
        let power = self.watts.or(self.amperes);
        if power.is_some_and(|column| line.len() > column.at && field(line, column.at).is_empty()) {
            return Ok(None);
        }
        let number = |column: Column| -> Result<f64, String> {
            let field = field(line, column.at);
            let number = field.parse().ok().filter(|number: &f64| number.is_finite());
            number
                .map(|number| number * column.unit)
                .ok_or_else(|| format!("`{}` is no number", crate::text::escaped(field)))
        };
        let volts = match (self.volts, self.supply_volts) {
            (Some(column), _) => number(column)?,
            (None, Some(volts)) => volts,
            (None, None) => 1.0,
        };
        let (volts, amperes) = match (self.watts, self.amperes) {
            // The mean of the products, where the meter has it, and not the product of the means.
            (Some(watts), _) if volts > 0.0 => (volts, number(watts)? / volts),
            (Some(watts), _) => (1.0, number(watts)?),
            (None, Some(amperes)) => (volts, number(amperes)?),
            (None, None) => return Err("there is no power in it".to_owned()),
        };
        Ok(Some(Row {
            at: number(self.time)?,
            volts,
            amperes,
            level: self.trigger.level(line)?,
        }))
    }
}

/// The column that holds all eight inputs of a PPK2.
const WORD: &str = "d0-d7";

impl Trigger {
    fn of(fields: &[(String, String)], wanted: Option<&str>) -> Result<Self, String> {
        let find = |name: &str| -> Option<Self> {
            let lower = name.to_ascii_lowercase();
            let place = |wanted: &str| fields.iter().position(|(name, _)| name == wanted);
            if let Some(at) = place(&lower) {
                return Some(Self {
                    at,
                    letter: None,
                    name: name.to_owned(),
                });
            }
            let letter: usize = lower.strip_prefix('d')?.parse().ok()?;
            Some(Self {
                at: place(WORD).filter(|_| letter < 8)?,
                letter: Some(letter),
                name: name.to_owned(),
            })
        };
        match wanted {
            Some(name) => find(name).ok_or_else(|| {
                format!(
                    "there is no input `{}`: its columns are {}",
                    crate::text::escaped(name),
                    crate::text::escaped(
                        &fields
                            .iter()
                            .map(|(name, _)| name.as_str())
                            .collect::<Vec<_>>()
                            .join(", ")
                    )
                )
            }),
            None => find("trigger").or_else(|| find("D0")).ok_or_else(|| {
                "there is no column `trigger`, and without the edges of the board's pin nothing ties the meter's time to the board's: wire the board's trigger pin to an input of the meter, record and export that too, and name its column with --trigger"
                    .to_owned()
            }),
        }
    }

    fn level(&self, line: &ByteRecord) -> Result<Option<bool>, String> {
        let field = field(line, self.at);
        let level = match self.letter {
            Some(letter) => field.get(letter..=letter).unwrap_or_default(),
            None => field,
        };
        match level {
            "-" | "X" => Ok(None),
            "0" => Ok(Some(false)),
            "1" => Ok(Some(true)),
            _ => match level.parse::<f64>() {
                Ok(level) if level.is_finite() => Ok(Some(level >= 0.5)),
                _ => Err(format!(
                    "`{}` is no level of `{}`",
                    crate::text::escaped(field),
                    crate::text::escaped(&self.name)
                )),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line as the reader of a file takes it apart.
    fn parted(line: &str) -> ByteRecord {
        let mut reader = csv::ReaderBuilder::new();
        reader
            .has_headers(false)
            .delimiter(separator(line.as_bytes()));
        let mut record = ByteRecord::new();
        let mut reader = reader.from_reader(line.as_bytes());
        assert!(reader.read_byte_record(&mut record).unwrap());
        record
    }

    fn of(names: &str, trigger: Option<&str>, supply: Option<f64>) -> Result<Columns, String> {
        Columns::of(&parted(names), trigger, supply)
    }

    fn row(names: &str, line: &str, trigger: Option<&str>, supply: Option<f64>) -> Row {
        let columns = of(names, trigger, supply).unwrap();
        columns.row(&parted(line)).unwrap().unwrap()
    }

    #[test]
    fn a_ppk2_export_is_read_in_both_its_forms() {
        let word = "Timestamp(ms),Current(uA),D0-D7";
        let expected = Row {
            at: 1.25 * 1e-3,
            volts: 3.3,
            amperes: 1502.125 * 1e-6,
            level: Some(true),
        };
        let line = "1.25,1502.125,00010000";
        assert_eq!(row(word, line, Some("D3"), Some(3.3)), expected);
        assert_eq!(row(word, line, None, Some(3.3)).level, Some(false));
        let each = "Timestamp(ms),Current(uA),D0,D1,D2,D3,D4,D5,D6,D7";
        let line = "1.25,1502.125,0,-,X,1,0,0,0,0";
        assert_eq!(row(each, line, Some("d3"), Some(3.3)), expected);
        for unknown in ["D1", "D2"] {
            assert_eq!(row(each, line, Some(unknown), Some(3.3)).level, None);
        }
        let error = of(word, None, None).unwrap_err();
        assert!(error.contains("say with --supply-voltage"), "{error}");
    }

    #[test]
    fn a_joulescope_log_is_read_once_it_has_a_trigger() {
        let names = "#time,current,voltage,power,charge,energy";
        let error = of(names, None, None).unwrap_err();
        assert!(error.contains("wire the board's trigger pin"), "{error}");
        let names = "#time,current,voltage,power,charge,energy,trigger";
        let read = row(names, "0.5,0.4,5.0,1.9,0.2,0.95,1", None, None);
        assert!((read.volts * read.amperes - 1.9).abs() < 1e-12);
        assert_eq!((read.at, read.volts, read.level), (0.5, 5.0, Some(true)));
    }

    #[test]
    fn other_files_are_read_by_name_and_unit_and_refused_with_a_reason() {
        let read = row(
            "Note;Trigger;POWER [mW];time (us)",
            "x; 0.2; 1500; 40",
            None,
            None,
        );
        let expected = Row {
            at: 40.0 * 1e-6,
            volts: 1.0,
            amperes: 1.5,
            level: Some(false),
        };
        assert_eq!(read, expected);
        let refused = |names: &str, trigger| of(names, trigger, None).unwrap_err();
        assert!(refused("power,trigger", None).contains("no column `time`"));
        assert!(refused("time,voltage,trigger", None).contains("no column `power`"));
        assert!(refused("time,power(hp),trigger", None).contains("the unit `hp`"));
        let error = refused("time,power,trigger", Some("D1"));
        assert!(error.contains("no input `D1`: its columns are time, power, trigger"));
        let columns = of("time,power,trigger", None, None).unwrap();
        let refused = |line: &str| columns.row(&parted(line)).unwrap_err();
        assert_eq!(refused("0,NaN,1"), "`NaN` is no number");
        assert_eq!(refused("0,1"), "`` is no level of `trigger`");
        assert_eq!(refused("0"), "`` is no number");
    }

    #[test]
    fn means_are_told_from_moments_and_lost_readings_from_wrong_ones() {
        let columns = of("time(ms),mean current(uA),D0", None, Some(5.0)).unwrap();
        assert!(columns.averages);
        assert_eq!(columns.row(&parted("0.5,,1")), Ok(None));
        let read = columns.row(&parted("0.5,200,1")).unwrap().unwrap();
        assert_eq!((read.at, read.amperes), (0.5 * 1e-3, 200.0 * 1e-6));
        assert!(!of("time,current,D0", None, Some(5.0)).unwrap().averages);
        let quoted = row(
            "\"time\",\"power\",\"trigger\"",
            "\"1\",\"2\",\"1\"",
            None,
            None,
        );
        assert_eq!((quoted.at, quoted.amperes), (1.0, 2.0));
    }
}
