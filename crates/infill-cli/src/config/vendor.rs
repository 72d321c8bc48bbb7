//! What differs from vendor to vendor in the table of a connection.

/// A vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vendor {
    /// HubSpot.
    HubSpot,
    /// Pipedrive.
    Pipedrive,
    /// Salesforce.
    Salesforce,
}

/// So many calls in a window of a fixed length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// The key that sets it.
    pub(super) key: &'static str,
    /// Calls when the key is left out.
    pub(super) calls: u32,
    /// Length in milliseconds.
    pub(super) per_ms: i64,
}

/// The keys of a vendor's connections and what holds when they are left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Where the API is, or the login.
    pub(super) base_url: &'static str,
    /// The versions of the API that can be chosen; the last one is taken when none is.
    pub(super) api_versions: &'static [&'static str],
    /// Tables that say how to log in, besides a token and `oauth`.
    pub(super) logins: &'static [&'static str],
    /// Logins that need the account's own address as `base_url`.
    pub(super) logins_at_account: &'static [&'static str],
    /// Keys of switches and names that its actions know.
    pub(super) switches: &'static [&'static str],
    /// The burst window, where the vendor has one.
    pub(super) burst: Option<Window>,
    /// The limit of searches, where the vendor keeps it apart.
    pub(super) search: Option<Window>,
    /// The key that sets the day's budget.
    pub(super) day_key: &'static str,
    /// The share of the day that is left to others when no key says so.
    pub(super) reserve_percent: u8,
    /// Whether a day is any 24 hours.
    pub(super) is_day_rolling: bool,
}

impl Vendor {
    /// Every vendor.
    pub(crate) const ALL: [Self; 3] = [Self::HubSpot, Self::Pipedrive, Self::Salesforce];

    /// The word in the configuration.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::HubSpot => "hubspot",
            Self::Pipedrive => "pipedrive",
            Self::Salesforce => "salesforce",
        }
    }

    /// What a day's budget counts.
    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::HubSpot | Self::Salesforce => "calls",
            Self::Pipedrive => "tokens",
        }
    }

    /// Its terms.
    pub(super) const fn terms(self) -> Terms {
        match self {
            Self::HubSpot => Terms {
                base_url: "https://api.hubapi.com",
                api_versions: &["v3", "2026-03", "2026-09"],
                logins: &[],
                logins_at_account: &[],
                switches: &[],
                // What HubSpot allows an app in ten seconds in the smallest accounts; larger ones allow 190.
                burst: Some(Window { key: "calls_per_10_seconds", calls: 100, per_ms: 10_000 }),
                // What HubSpot allows all apps of an account together to search in a second.
                search: Some(Window { key: "search_calls_per_second", calls: 5, per_ms: 1_000 }),
                day_key: "calls_per_day",
                reserve_percent: 0,
                is_day_rolling: false,
            },
            Self::Pipedrive => Terms {
                base_url: "https://api.pipedrive.com",
                api_versions: &["v2"],
                logins: &[],
                logins_at_account: &[],
                switches: &[],
                // What Pipedrive allows an API token in two seconds on its smallest tier; larger ones allow up to 120, OAuth
                // apps 80 to 480.
                burst: Some(Window { key: "calls_per_2_seconds", calls: 20, per_ms: 2_000 }),
                // Searches are never made.
                search: None,
                day_key: "tokens_per_day",
                reserve_percent: 0,
                is_day_rolling: false,
            },
            Self::Salesforce => Terms {
                base_url: "https://login.salesforce.com",
                api_versions: &["v64.0", "v65.0", "v66.0", "v67.0", "v68.0"],
                logins: &["client_credentials", "jwt"],
                logins_at_account: &["token_env", "token_file", "client_credentials"],
                switches: &["auto_assign", "allow_duplicates", "transport", "replay_key_field"],
                // Salesforce counts calls by the day, and at a time only those that take 20 seconds and more.
                burst: None,
                search: None,
                day_key: "calls_per_day",
                // One budget for the whole org: its other programs must not stand still because of a run.
                reserve_percent: 20,
                is_day_rolling: true,
            },
        }
    }
}

impl Terms {
    /// Whether a connection of this vendor may have the key, of those that not all vendors have.
    pub(super) fn has(&self, key: &str) -> bool {
        let windows = [self.burst, self.search].into_iter().flatten().map(|window| window.key);
        let tables_and_switches = self.logins.iter().chain(self.switches).copied();
        windows.chain(tables_and_switches).chain([self.day_key]).any(|known| known == key)
    }
}

/// Keys that not all vendors have.
pub(super) const VENDOR_KEYS: [&str; 11] = [
    "calls_per_10_seconds",
    "calls_per_2_seconds",
    "search_calls_per_second",
    "calls_per_day",
    "tokens_per_day",
    "client_credentials",
    "jwt",
    "auto_assign",
    "allow_duplicates",
    "transport",
    "replay_key_field",
];
