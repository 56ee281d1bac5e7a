//! A plan's report as a text, for a terminal or a page.

use super::{CostView, Report, TargetView};
use crate::config::units::{duration_text, rate_text};
use crate::domain::count;
use crate::plan::percent_text;
use std::fmt::{Arguments, Write as _};
use std::time::Duration;

/// More accounts than these are summed up.
const ACCOUNTS_SHOWN: usize = 5;

impl Report {
    /// The report as a text of several lines, without colours.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = count::of(self.targets.len(), "target") + "\n";
        for row in table(&self.targets) {
            text.extend(["  ", &row, "\n"]);
        }
        text + "\n" + &self.summary()
    }

    /// All but the targets one by one: rates, loads, series, sessions, cost, warnings, files left out.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let mut line = |args: Arguments<'_>| writeln!(text, "{args}").unwrap_or_default();
        line(format_args!("requests         {:.2}/s", self.requests_per_second.total));
        self.accounts(&mut line);
        for row in self.members.iter().flat_map(|members| members.lines(self.targets.len())) {
            line(format_args!("{row}"));
        }
        if let Some(isolation) = &self.isolation {
            line(format_args!(
                "isolation        {} pairs of a role and a foreign api, {} of the above; a round takes {}",
                isolation.pairs,
                slow_rate_text(isolation.requests_per_second.total),
                duration_text(Duration::from_secs_f64(isolation.round_seconds.round())),
            ));
        }
        for (nth, load) in self.loads.iter().enumerate() {
            line(format_args!(
                "{:<17}{}: {} up to {}, {:.0} requests in {}, {}; {} of the account's quota",
                if nth == 0 { "loads" } else { "" },
                load.name,
                load.probe,
                rate_text(load.peak_per_second),
                load.requests,
                duration_text(Duration::from_secs_f64(load.duration_seconds)),
                load.at.as_ref().map_or("by command".to_owned(), |at| format!("daily at {at} UTC")),
                percent_text(load.share_of_quota),
            ));
        }
        line(format_args!(
            "time series      {} when all is as expected, {} at worst; {} samples in 30 days at a scrape every {}",
            self.time_series,
            self.time_series_worst,
            counted(self.samples.per_month),
            duration_text(Duration::from_secs_f64(self.samples.scrape_interval_seconds)),
        ));
        line(format_args!(
            "STS calls        {:.1}/h for {}",
            self.sts_calls_per_hour,
            count::of(self.roles.len(), "session")
        ));
        self.monthly_cost_usd.lines(&mut line);
        if !self.warnings.is_empty() {
            line(format_args!("\n{}", count::of(self.warnings.len(), "warning")));
            for warning in &self.warnings {
                line(format_args!("  {}: {}", warning.path, warning.message));
            }
        }
        for failure in &self.include_failures {
            line(format_args!("\nleft out: {}", failure.file));
            for problem in &failure.problems {
                line(format_args!("  {problem}"));
            }
        }
        text
    }

    /// The accounts that are asked most, each beside its quota.
    fn accounts(&self, line: &mut impl FnMut(Arguments<'_>)) {
        let mut accounts: Vec<(&String, f64)> =
            self.requests_per_second.by_account.iter().map(|(account, rate)| (account, *rate)).collect();
        accounts.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        for (account, rate) in accounts.iter().take(ACCOUNTS_SHOWN) {
            let share = self.account_quota.share_by_account.get(*account).copied().unwrap_or_default();
            line(format_args!(
                "  {account}   {}, {} of its quota of {}",
                rate_in_words(*rate),
                share_in_words(share),
                rate_text(self.account_quota.requests_per_second)
            ));
        }
        if let Some((_, most)) = accounts.get(ACCOUNTS_SHOWN) {
            line(format_args!(
                "  and {} more, {} each at most",
                count::of(accounts.len() - ACCOUNTS_SHOWN, "account"),
                rate_in_words(*most)
            ));
        }
    }
}

impl CostView {
    fn lines(&self, line: &mut impl FnMut(Arguments<'_>)) {
        line(format_args!(
            "monthly cost     {} in 30 days; {}; without backends and the agent's own task",
            dollars(self.total),
            self.prices
        ));
        line(format_args!(
            "  api calls      {} for {} calls, without those that are to be refused, which are free",
            dollars(self.api_calls),
            counted(self.charged_calls)
        ));
        line(format_args!("  endpoint data  {} for {:.1} GB", dollars(self.data), self.data_gb));
        let endpoint = &self.endpoint;
        match (endpoint.zones, endpoint.total) {
            (Some(zones), Some(total)) => line(format_args!(
                "  endpoint       {} for {}, there with or without probes and not in the sum",
                dollars(total),
                count::of(zones, "zone")
            )),
            _ => line(format_args!(
                "  endpoint       {} a zone, there with or without probes and not in the sum",
                dollars(endpoint.per_zone)
            )),
        }
        let other = &self.synthetics;
        line(format_args!(
            "  for comparison {} as {} CloudWatch Synthetics canaries, or {} as {} with up to ten checks each; without \
             their functions, storage and logs",
            dollars(other.one_check_a_canary),
            other.canaries,
            dollars(other.ten_checks_a_canary),
            other.fewest_canaries
        ));
        if other.slowed_down > 0 {
            line(format_args!(
                "                 {} of {} targets are probed more often than a canary can, and counted there as once a minute",
                other.slowed_down, other.canaries
            ));
        }
    }
}

/// Two digits for what is often, and for the rest how often an hour.
fn rate_in_words(per_second: f64) -> String {
    if per_second < 0.005 { slow_rate_text(per_second) } else { format!("{per_second:.2}/s") }
}

/// Health probes take next to nothing of a quota, and 0% would not say that they take any.
fn share_in_words(share: f64) -> String {
    if share > 0.0 && share < 0.0001 { "under 0.01%".to_owned() } else { percent_text(share) }
}

/// US dollars with cents, and the thousands set apart.
fn dollars(usd: f64) -> String {
    let cents = format!("{usd:.2}");
    let (whole, rest) = cents.split_once('.').unwrap_or((&cents, "00"));
    format!("${}.{rest}", grouped(whole))
}

/// A count with its thousands set apart.
fn counted(count: f64) -> String {
    grouped(&format!("{count:.0}"))
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A few pairs a day would be 0.00 a second.
fn slow_rate_text(per_second: f64) -> String {
    if per_second < 0.1 { format!("{:.2}/h", per_second * 3_600.0) } else { format!("{per_second:.2}/s") }
}

/// The targets in columns.
fn table(targets: &[TargetView]) -> Vec<String> {
    let head = ["TARGET", "REQUEST", "AS", "CADENCE", "EXPECT"].map(str::to_owned);
    let rows = targets.iter().map(|target| {
        let zone = target.zone.as_ref().map(|zone| format!("@{zone}")).unwrap_or_default();
        let name = format!("{}/{}/{}{zone}", target.spoke, target.api, target.probe);
        let cells = [&name, &target.request, &target.identity, &target.cadence, &target.expect];
        cells.map(Clone::clone)
    });
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    let print = |row: &[String; 5]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(print).collect()
}
