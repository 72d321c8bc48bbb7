//! What Infill has on a RabbitMQ broker: exchanges, queues and bindings, as a value.
//!
//! [`Topology::new`] makes it, its `Display` prints it (`docs/topology.md` holds that text, and a test compares the two),
//! [`Topology::lacks`] compares it with what a broker has; declaring it is `rabbitmq`'s business. Every argument
//! is one that RabbitMQ 3.10 to 4.x accepts. Nothing here does IO.

use std::fmt;
use std::time::Duration;

use infill_model::Stage;

/// The prefix of every name unless the configuration says otherwise.
pub const PREFIX: &str = "infill";

/// How often a message may come back unacknowledged before it is dead-lettered.
///
/// The default of RabbitMQ 4.x, set explicitly because 3.x has none. Not lower: up to 4.2 every lost
/// connection counts for each message that the consumer had merely prefetched. Never -1: 3.10 accepts it and destroys the
/// message at its first return.
pub const DELIVERY_LIMIT: u32 = 20;

/// The delay tiers, shortest first. Mixed waits in one queue would block one another: only a queue's head expires.
///
/// Close together where vendors' windows lie (1 s and 10 s bursts), far apart where nobody waits for them.
pub const TIERS: [Tier; 7] = [
    Tier { name: "1s", wait: Duration::from_secs(1) },
    Tier { name: "5s", wait: Duration::from_secs(5) },
    Tier { name: "10s", wait: Duration::from_secs(10) },
    Tier { name: "30s", wait: Duration::from_secs(30) },
    Tier { name: "2m", wait: Duration::from_secs(120) },
    Tier { name: "10m", wait: Duration::from_secs(600) },
    Tier { name: "1h", wait: Duration::from_secs(3600) },
];

/// Messages a stage or retry queue takes before it refuses publishers. A soft bound: a quorum queue overshoots it by
/// what is in flight. Some 35 MB of broker memory; runs keep few batches in flight and never come near.
const MAX_WORK: u32 = 1_000_000;

/// Messages kept for people. Beyond it the oldest are dropped, because a full dead-letter queue that
/// refuses would stop the work; the store remains the place of record.
const MAX_KEPT: u32 = 100_000;

/// The delivery limit of queues that only foreign consumers read: as good as none, since a message over it would be lost.
const KEPT_DELIVERY_LIMIT: u32 = 1_000_000;

/// One delay queue's wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// How the queue's name spells it.
    pub name: &'static str,
    /// How long a message waits in it.
    pub wait: Duration,
}

/// The shortest tier that is at least as long as the delay, or the longest there is.
#[must_use]
pub fn tier(delay: Duration) -> Tier {
    let [.., longest] = TIERS;
    TIERS.into_iter().find(|tier| tier.wait >= delay).unwrap_or(longest)
}

/// All that is declared, under one prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    prefix: String,
    /// In the order of declaration: an alternate exchange stands before the exchange that names it.
    pub exchanges: Vec<Exchange>,
    /// Every queue is a durable quorum queue.
    pub queues: Vec<Queue>,
    /// Declared last.
    pub bindings: Vec<Binding>,
}

/// A durable exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Its name.
    pub name: String,
    /// How it routes.
    pub kind: ExchangeKind,
    /// Its `x-arguments`.
    pub arguments: Vec<(&'static str, Argument)>,
    /// What it is for.
    pub purpose: &'static str,
}

/// How an exchange routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeKind {
    /// To the queues bound with the very routing key.
    Direct,
    /// To every bound queue.
    Fanout,
    /// To the queues bound with a matching pattern.
    Topic,
}

/// A durable quorum queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Its `x-arguments`, the queue type among them.
    pub arguments: Vec<(&'static str, Argument)>,
    /// What it is for.
    pub purpose: String,
}

/// The value of an `x-argument`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A name or a word.
    Text(String),
    /// A count, or milliseconds.
    Number(u32),
}

/// A queue bound to an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// From.
    pub exchange: String,
    /// To.
    pub queue: String,
    /// The binding key.
    pub binding_key: &'static str,
}

impl Topology {
    /// The topology under a prefix; two prefixes share nothing.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        let mut topology = Self {
            prefix: prefix.to_owned(),
            exchanges: Vec::new(),
            queues: Vec::new(),
            bindings: Vec::new(),
        };
        topology.exchanges = topology.all_exchanges();
        topology.queues = topology.all_queues();
        topology.bindings = topology.all_bindings();
        topology
    }

    /// Where programs publish stage messages. It has no alternate exchange, so that `mandatory` tells the
    /// publisher when no queue takes a message.
    #[must_use]
    pub fn stages(&self) -> String {
        self.named("stages")
    }

    /// Where messages come in that have waited. Nobody is there to be told, hence its alternate exchange.
    #[must_use]
    pub fn due(&self) -> String {
        self.named("due")
    }

    /// The exchange, and the queue, of dead-lettered messages.
    #[must_use]
    pub fn dead_letters(&self) -> String {
        self.named("dead-letters")
    }

    /// The exchange, and the queue, of messages for a stage without a queue.
    #[must_use]
    pub fn unrouted(&self) -> String {
        self.named("unrouted")
    }

    /// A stage's queue.
    #[must_use]
    pub fn stage(&self, stage: Stage) -> String {
        self.named(&format!("stage.{stage}"))
    }

    /// A tier's exchange, and its queue.
    #[must_use]
    pub fn retry(&self, tier: Tier) -> String {
        self.named(&format!("retry.{}", tier.name))
    }

    /// Names of exchanges and queues of this topology that are not among those `found` on a broker.
    #[must_use]
    pub fn lacks(&self, found: &[String]) -> Vec<&str> {
        let declared = self.exchanges.iter().map(|exchange| &exchange.name);
        let declared = declared.chain(self.queues.iter().map(|queue| &queue.name));
        declared.filter(|name| !found.contains(name)).map(String::as_str).collect()
    }

    fn named(&self, role: &str) -> String {
        format!("{}.{role}", self.prefix)
    }

    fn all_exchanges(&self) -> Vec<Exchange> {
        let plain = |name, kind, purpose| Exchange { name, kind, arguments: Vec::new(), purpose };
        let mut exchanges = vec![
            plain(self.unrouted(), ExchangeKind::Fanout, "takes what no stage queue would"),
            plain(
                self.dead_letters(),
                ExchangeKind::Topic,
                "failed writebacks and poison messages; routing key: the stage. Bind a queue of your own to subscribe",
            ),
            plain(
                self.stages(),
                ExchangeKind::Direct,
                "programs publish here, `mandatory`; routing key: the stage",
            ),
            Exchange {
                name: self.due(),
                kind: ExchangeKind::Direct,
                arguments: vec![("alternate-exchange", Argument::Text(self.unrouted()))],
                purpose: "messages come in here that have waited; routing key: the stage",
            },
        ];
        exchanges.extend(TIERS.map(|tier| {
            plain(
                self.retry(tier),
                ExchangeKind::Fanout,
                "programs publish here to wait; routing key: the stage",
            )
        }));
        exchanges
    }

    fn all_queues(&self) -> Vec<Queue> {
        let text = |text: &str| Argument::Text(text.to_owned());
        // Dead-lettering is at-least-once only together with `reject-publish`: with the default overflow it silently
        // falls back to at-most-once.
        let work = |dead_letter_exchange: String| {
            vec![
                ("x-queue-type", text("quorum")),
                ("x-dead-letter-exchange", Argument::Text(dead_letter_exchange)),
                ("x-dead-letter-strategy", text("at-least-once")),
                ("x-overflow", text("reject-publish")),
                ("x-max-length", Argument::Number(MAX_WORK)),
            ]
        };
        let kept = || {
            vec![
                ("x-queue-type", text("quorum")),
                ("x-overflow", text("drop-head")),
                ("x-max-length", Argument::Number(MAX_KEPT)),
                ("x-delivery-limit", Argument::Number(KEPT_DELIVERY_LIMIT)),
            ]
        };
        let mut queues = vec![
            Queue {
                name: self.dead_letters(),
                arguments: kept(),
                purpose: "dead-lettered messages, for other systems and for people".to_owned(),
            },
            Queue {
                name: self.unrouted(),
                arguments: kept(),
                purpose: "messages for a stage without a queue; anything here is an operator's mistake"
                    .to_owned(),
            },
        ];
        queues.extend(Stage::ALL.map(|stage| {
            let mut arguments = work(self.dead_letters());
            arguments.push(("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)));
            Queue { name: self.stage(stage), arguments, purpose: format!("work of the stage `{stage}`") }
        }));
        queues.extend(TIERS.map(|tier| {
            let mut arguments = work(self.due());
            let millis = u32::try_from(tier.wait.as_millis()).unwrap_or(u32::MAX);
            arguments.push(("x-message-ttl", Argument::Number(millis)));
            // No dead-letter routing key: the message keeps its own, the stage, and one queue serves all stages.
            Queue {
                name: self.retry(tier),
                arguments,
                purpose: format!("waits {}, for every stage", tier.name),
            }
        }));
        queues
    }

    fn all_bindings(&self) -> Vec<Binding> {
        let bind = |exchange, queue, binding_key| Binding { exchange, queue, binding_key };
        let mut bindings = vec![
            bind(self.dead_letters(), self.dead_letters(), "#"),
            bind(self.unrouted(), self.unrouted(), ""),
        ];
        for stage in Stage::ALL {
            bindings.push(bind(self.stages(), self.stage(stage), stage.as_str()));
            bindings.push(bind(self.due(), self.stage(stage), stage.as_str()));
        }
        bindings.extend(TIERS.map(|tier| bind(self.retry(tier), self.retry(tier), "")));
        bindings
    }
}

impl ExchangeKind {
    /// The word in the protocol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
        }
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// As Markdown tables.
impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| exchange | kind | arguments | purpose |\n| --- | --- | --- | --- |")?;
        for Exchange { name, kind, arguments, purpose } in &self.exchanges {
            writeln!(f, "| `{name}` | {} | {} | {purpose} |", kind.as_str(), Arguments(arguments))?;
        }
        writeln!(f, "\n| queue | arguments | purpose |\n| --- | --- | --- |")?;
        for Queue { name, arguments, purpose } in &self.queues {
            writeln!(f, "| `{name}` | {} | {purpose} |", Arguments(arguments))?;
        }
        writeln!(f, "\n| from exchange | binding key | to queue |\n| --- | --- | --- |")?;
        for Binding { exchange, queue, binding_key } in &self.bindings {
            let key = if binding_key.is_empty() { String::new() } else { format!("`{binding_key}`") };
            writeln!(f, "| `{exchange}` | {key} | `{queue}` |")?;
        }
        Ok(())
    }
}

struct Arguments<'a>(&'a [(&'static str, Argument)]);

impl fmt::Display for Arguments<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, (name, value)) in self.0.iter().enumerate() {
            let separator = if idx == 0 { "" } else { ", " };
            write!(f, "{separator}`{name}={value}`")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_what_is_declared() {
        let page = include_str!("../../../docs/topology.md");
        let printed = Topology::new(PREFIX).to_string();
        for line in printed.lines() {
            assert!(page.contains(line), "docs/topology.md lacks this line of the printed topology:\n{line}");
        }
        let tables = page.split("<!-- printed -->").nth(1).expect("docs/topology.md has its two marks");
        assert_eq!(tables.trim(), printed.trim(), "docs/topology.md shows more than is declared");
    }

    #[test]
    fn names_are_pinned() {
        let topology = Topology::new(PREFIX);
        let queues: Vec<&str> = topology.queues.iter().map(|queue| queue.name.as_str()).collect();
        assert_eq!(
            queues,
            [
                "infill.dead-letters",
                "infill.unrouted",
                "infill.stage.source-sync",
                "infill.stage.await-rows",
                "infill.stage.configure-chain",
                "infill.stage.run",
                "infill.stage.verify",
                "infill.retry.1s",
                "infill.retry.5s",
                "infill.retry.10s",
                "infill.retry.30s",
                "infill.retry.2m",
                "infill.retry.10m",
                "infill.retry.1h",
            ]
        );
    }

    #[test]
    fn bindings_name_only_what_is_declared() {
        let topology = Topology::new("w1");
        for Binding { exchange, queue, .. } in &topology.bindings {
            assert!(topology.exchanges.iter().any(|declared| declared.name == *exchange), "{exchange}");
            assert!(topology.queues.iter().any(|declared| declared.name == *queue), "{queue}");
        }
        for Queue { name, .. } in &topology.queues {
            assert!(
                topology.bindings.iter().any(|binding| binding.queue == *name),
                "{name} is bound to nothing"
            );
        }
    }

    #[test]
    fn no_queue_loses_a_dead_letter_in_silence() {
        for Queue { name, arguments, .. } in Topology::new("w1").queues {
            let argument = |wanted| {
                arguments.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.to_string())
            };
            assert_eq!(argument("x-queue-type").as_deref(), Some("quorum"), "{name}");
            if argument("x-dead-letter-exchange").is_some() {
                assert_eq!(argument("x-dead-letter-strategy").as_deref(), Some("at-least-once"), "{name}");
                assert_eq!(argument("x-overflow").as_deref(), Some("reject-publish"), "{name}");
            }
        }
    }

    #[test]
    fn a_delay_waits_in_the_shortest_tier_that_is_long_enough() {
        let name = |millis| tier(Duration::from_millis(millis)).name;
        let table = [
            (0, "1s"),
            (1_000, "1s"),
            (1_001, "5s"),
            (7_000, "10s"),
            (10_001, "30s"),
            (31_000, "2m"),
            (600_000, "10m"),
            (3_600_000, "1h"),
            (86_400_000, "1h"),
        ];
        for (millis, expected) in table {
            assert_eq!(name(millis), expected, "{millis} ms");
        }
    }

    #[test]
    fn tiers_are_named_after_their_wait_and_grow() {
        for Tier { name, wait } in TIERS {
            let unit = match name.as_bytes().last() {
                Some(b's') => 1,
                Some(b'm') => 60,
                Some(b'h') => 3600,
                _ => panic!("{name} has no unit"),
            };
            let count: u64 = name.trim_end_matches(['s', 'm', 'h']).parse().unwrap();
            assert_eq!(wait.as_secs(), count * unit, "{name}");
        }
        assert!(TIERS.is_sorted_by_key(|tier| tier.wait));
    }

    #[test]
    fn what_a_broker_lacks_is_named() {
        let topology = Topology::new("w1");
        let mut found: Vec<String> =
            topology.exchanges.iter().map(|exchange| exchange.name.clone()).collect();
        found.extend(topology.queues.iter().map(|queue| queue.name.clone()));
        assert!(topology.lacks(&found).is_empty());
        found.retain(|name| name != "w1.stage.run");
        assert_eq!(topology.lacks(&found), ["w1.stage.run"]);
    }
}
