//! The live view: what every board of a run does at this moment, in a few lines of the terminal.

use super::show::Lane;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{LineGauge, Sparkline};
use scalebench::units;
use std::time::Duration;

/// Lines that a board takes.
pub(crate) const HEIGHT: u16 = 4;
const LABELS: u16 = 11;

/// Draws all boards, one below the other; `passed` is the time since the run began.
pub(crate) fn draw(frame: &mut Frame<'_>, lanes: &[Lane], passed: Duration) {
    let area = frame.area();
    for (lane, at) in lanes.iter().zip(0..) {
        let place = Rect::new(area.x, area.y + at * HEIGHT, area.width, HEIGHT);
        one(frame, lane, passed, place.intersection(area));
    }
    // A program that is killed leaves the cursor shown, and below what it has drawn.
    frame.set_cursor_position((area.x, area.bottom().saturating_sub(1)));
}

fn one(frame: &mut Frame<'_>, lane: &Lane, passed: Duration, area: Rect) {
    let [progress, doing, link, rates] = Layout::vertical([Constraint::Length(1); 4]).areas(area);
    let share = lane.done as f64 / lane.total.max(1) as f64;
    let mut label = format!("{} of {} trials", lane.done, lane.total);
    if let Some(left) = left(lane, passed) {
        label += &format!(", about {left} left");
    }
    if let Some(name) = &lane.name {
        label = format!("{name}: {label}");
    }
    let gauge = LineGauge::default()
        .ratio(share.clamp(0.0, 1.0))
        .label(label)
        .filled_style(Style::new().fg(Color::Cyan));
    frame.render_widget(gauge, progress);
    frame.render_widget(row("now", &lane.doing), doing);
    frame.render_widget(row("line", &lane.link), link);
    let [name, graph] =
        Layout::horizontal([Constraint::Length(LABELS), Constraint::Fill(1)]).areas(rates);
    frame.render_widget(Line::from("readings/s").dim(), name);
    let newest = lane.rates.len().saturating_sub(graph.width.into());
    let newest = lane.rates.iter().skip(newest).copied();
    frame.render_widget(Sparkline::default().data(newest).cyan(), graph);
}

fn row<'a>(name: &'a str, text: &'a str) -> Line<'a> {
    let width = usize::from(LABELS);
    Line::from(vec![
        Span::from(format!("{name:<width$}")).dim(),
        Span::from(text),
    ])
}

/// How long the rest takes when it goes on as it did, once two trials have ended.
fn left(lane: &Lane, passed: Duration) -> Option<String> {
    let rest = lane.total.checked_sub(lane.done)?;
    (lane.done > 1 && rest > 0)
        .then(|| units::time(passed.as_secs_f64() * 1e9 * rest as f64 / lane.done as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use scalebench::progress::Progress;

    fn drawn(lanes: &[Lane], width: u16) -> Vec<String> {
        let height = HEIGHT * lanes.len() as u16;
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let passed = Duration::from_secs(20);
        terminal.draw(|frame| draw(frame, lanes, passed)).unwrap();
        let buffer = terminal.backend().buffer();
        let cells: Vec<&str> = buffer.content.iter().map(|cell| cell.symbol()).collect();
        let lines = cells.chunks(width.into());
        lines
            .map(|line| line.concat().trim_end().to_owned())
            .collect()
    }

    fn busy(name: Option<&str>) -> Lane {
        let mut lane = Lane::new(name.map(str::to_owned));
        for progress in [
            Progress::Connected {
                machine: "a board".to_owned(),
            },
            Progress::Trial {
                done: 9,
                total: 40,
                label: "fashion-cnn s0 int8".to_owned(),
            },
            Progress::Phase("window 3 of 5".to_owned()),
            Progress::Ended {
                label: "fashion-cnn s0 int8".to_owned(),
                outcome: "12 µs".to_owned(),
                well: true,
            },
        ] {
            lane.take(progress);
        }
        lane.rates.extend([0, 400, 800]);
        lane
    }

    #[test]
    fn a_run_is_seen_at_one_look() {
        let lines = drawn(&[busy(None)], 60);
        assert!(lines[0].contains("10 of 40 trials, about 60"), "{lines:?}");
        assert!(lines[1].starts_with("now        fashion-cnn s0 int8: window 3 of 5"));
        assert!(lines[3].starts_with("readings/s  ▄█"), "{lines:?}");
    }

    #[test]
    fn boards_stand_one_below_the_other() {
        let lines = drawn(&[busy(Some("this")), busy(Some("that"))], 60);
        assert!(lines[0].starts_with("this: 10 of 40"), "{lines:?}");
        assert!(lines[4].starts_with("that: 10 of 40"), "{lines:?}");
    }

    #[test]
    fn no_terminal_is_too_small() {
        for width in 1..30 {
            drawn(&[busy(Some("this"))], width);
        }
    }
}
