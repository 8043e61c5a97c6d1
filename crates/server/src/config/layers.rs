//! The layers of the settings: defaults < the file of `--config` < `DURAMEN_*` < flags.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::builder::BoolishValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use duramen_runtime::MemoryLimit;
use duramen_settings::{Fault, leaves, text_of};
use serde_json::Value;

use super::Config;
use super::settings::{Origin, Settings};
use crate::cli::{
    Blocks, Bucket, Client, Command, Compact, Delete, Explain, Role, Snapshots, Tenants,
};

/// Duramen: a time-series database that keeps Prometheus metrics for years in a bucket.
///
/// Without a subcommand, the whole system runs in one process. Each flag has an environment
/// variable, which is DURAMEN_ and the flag's name in capitals with underscores, and a key in the
/// file of --config.
#[derive(Debug, Parser)]
#[command(name = "duramen", version, args_conflicts_with_subcommands = true)]
struct CommandLine {
    /// A YAML file of settings. Flags and variables override it. An unknown key is an error.
    #[arg(long, env = "DURAMEN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Print the effective settings and the origin of each, then exit.
    #[arg(long)]
    print_config: bool,

    /// Check the settings and the limits file, report their faults, and exit.
    #[arg(long)]
    check_config: bool,

    /// The former name of --head-bytes-max, in MiB.
    #[arg(long, env = "DURAMEN_HEAD_MEBIBYTES_MAX", hide = true, value_name = "MIB", value_parser = clap::value_parser!(u32))]
    head_mebibytes_max: Option<u32>,

    /// The former name of --cache-bytes-max, in MiB.
    #[arg(long, env = "DURAMEN_CACHE_MEBIBYTES_MAX", hide = true, value_name = "MIB", value_parser = clap::value_parser!(u32))]
    cache_mebibytes_max: Option<u32>,

    #[command(subcommand)]
    subcommand: Option<Task>,
}

/// A subcommand, which is run instead of serving.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
enum Task {
    Explain(Explain),
    Delete(Delete),
    Snapshots(Snapshots),
    Tenants(Tenants),
    Blocks(Blocks),
    Compact(Compact),
    Bucket(Bucket),
}

/// Keys whose values are secrets.
const SECRETS: [&str; 3] = [
    "s3.access_key_id",
    "s3.secret_access_key",
    "s3.session_token",
];

impl Settings {
    /// Returns the command that `arguments` ask for, with the settings of all layers. The first
    /// argument is the process's own name.
    ///
    /// As usual for command lines, this ends the process for `--help`, `--version` and arguments
    /// that cannot be read.
    pub fn load(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<Command> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let mut matches = command()
            .try_get_matches_from(&arguments)
            .unwrap_or_else(|error| exit(&error, &arguments));
        let line = CommandLine::from_arg_matches(&matches)?;

        match line.subcommand {
            Some(Task::Explain(command)) => {
                return Ok(Command::Client(Client::Explain(Box::new(command))));
            }
            Some(Task::Delete(command)) => {
                return Ok(Command::Client(Client::Delete(Box::new(command))));
            }
            Some(Task::Snapshots(command)) => {
                return Ok(Command::Client(Client::Snapshots(Box::new(command))));
            }
            Some(Task::Tenants(command)) => {
                return Ok(Command::Client(Client::Tenants(Box::new(command))));
            }
            Some(Task::Blocks(command)) => return Ok(Command::Blocks(Box::new(command))),
            Some(Task::Bucket(command)) => return Ok(Command::Bucket(Box::new(command))),
            Some(Task::Compact(command)) => return Ok(Command::Compact(Box::new(command))),
            None => {}
        }

        let (file, written) = line
            .config
            .as_deref()
            .map_or_else(|| Ok(<(Config, Value)>::default()), read)?;

        let mut settings = Self {
            config: file,
            origins: BTreeMap::new(),
            unfit: Vec::new(),
        };

        settings.origins.extend(
            leaves(&written)
                .into_iter()
                .map(|(key, _)| (key, Origin::File)),
        );

        settings.take_former_names(&line, &matches);
        settings.note_origins(&matches);

        for key in SECRETS {
            let on_line = matches!(settings.origins.get(key), Some(Origin::Flag(_)));
            anyhow::ensure!(
                !on_line,
                "{key}: a secret does not belong on the command line: use the file or its variable"
            );
        }

        settings.config.update_from_arg_matches_mut(&mut matches)?;
        settings.config.validate()?;
        settings.fit_into(&MemoryLimit::of_this_process());

        let settings = Box::new(settings);
        Ok(match (line.print_config, line.check_config) {
            (true, _) => Command::PrintConfig(settings),
            (false, true) => Command::CheckConfig(settings),
            (false, false) => Command::Serve(Role::All, settings),
        })
    }

    /// Returns the settings of a server with this file and this store. Without them, they come from
    /// the variables and the defaults.
    pub(crate) fn of_store(config: Option<&Path>, store: Option<&str>) -> anyhow::Result<Self> {
        let mut arguments = vec![OsString::from("duramen")];

        if let Some(config) = config {
            arguments.extend([OsString::from("--config"), config.into()]);
        }

        if let Some(store) = store {
            arguments.extend([OsString::from("--store"), store.into()]);
        }

        match Self::load(arguments)? {
            Command::Serve(Role::All, settings) => Ok(*settings),
            other => anyhow::bail!("these settings do not name a store: {other:?}"),
        }
    }

    /// Returns those of the names of variables that look like ours and are none, which are misspelt.
    pub(crate) fn unknown_variables(names: impl IntoIterator<Item = OsString>) -> Vec<String> {
        let command = command();
        let known: Vec<_> = command.get_arguments().filter_map(Arg::get_env).collect();

        let unknown = names.into_iter().filter(|name| {
            let is_ours = name.to_string_lossy().starts_with("DURAMEN_");
            is_ours
                && !known.contains(&name.as_os_str())
                && !OTHER_VARIABLES.iter().any(|v| name == v)
        });

        let mut unknown: Vec<String> = unknown
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        unknown.sort();
        unknown
    }

    fn take_former_names(&mut self, line: &CommandLine, matches: &ArgMatches) {
        let config = &mut self.config;
        let former = [
            (
                "head_mebibytes_max",
                line.head_mebibytes_max,
                "head.bytes_max",
                &mut config.head.bytes_max,
            ),
            (
                "cache_mebibytes_max",
                line.cache_mebibytes_max,
                "cache.bytes_max",
                &mut config.cache.bytes_max,
            ),
        ];

        for (name, given, key, bytes) in former {
            if let Some(mebibytes) = given
                && let Some(origin) = origin(matches, &argument(name))
            {
                *bytes = (mebibytes as usize) << 20;
                self.origins.insert(key.to_owned(), origin);
            }
        }
    }

    fn note_origins(&mut self, matches: &ArgMatches) {
        for argument in settable() {
            if let Some(origin) = origin(matches, &argument) {
                self.origins.insert(argument.get_id().to_string(), origin);
            }
        }
    }
}

/// Ends the process as clap does. If the value that is wrong came from a variable, the text names
/// the variable and not the flag.
fn exit(error: &clap::Error, arguments: &[OsString]) -> ! {
    let Some((flag, variable)) = variable_of(error, arguments) else {
        error.exit()
    };

    let text = error.render().to_string();
    #[expect(clippy::print_stderr, reason = "for whoever has started the process")]
    {
        eprint!("{}", text.replace(&flag, &variable));
    }
    std::process::exit(error.exit_code())
}

/// Returns how the text of an error names the argument whose value is wrong, and the variable that
/// the value came from. `None` if it came from the command line.
fn variable_of(error: &clap::Error, arguments: &[OsString]) -> Option<(String, String)> {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };

    let long = flag.split(' ').next()?;
    let is_long = |argument: &OsString| {
        let text = argument.to_string_lossy();
        text == long || text.starts_with(&format!("{long}="))
    };

    let command = command();
    let mut known = command.get_arguments();
    let argument = known.find(|argument| {
        let name = argument.get_long().map(|name| format!("--{name}"));
        name.as_deref() == Some(long)
    })?;
    let variable = argument.get_env()?;

    let is_set = std::env::var_os(variable).is_some();
    let is_given = arguments.iter().any(is_long);
    let name = variable.to_string_lossy().into_owned();
    (is_set && !is_given).then(|| (flag.clone(), name))
}

/// Variables of other commands, and of the tests.
const OTHER_VARIABLES: [&str; 4] = [
    "DURAMEN_URL",
    "DURAMEN_SHARED",
    "DURAMEN_REQUIRE_ALL",
    "DURAMEN_BLESS",
];

/// Returns the whole command line, for a start and for its documentation.
fn command() -> clap::Command {
    let defaults = serde_json::to_value(Config::default()).expect("plain values have JSON");
    let defaults: BTreeMap<_, _> = leaves(&defaults).into_iter().collect();
    let command = CommandLine::command().args(arguments());

    command.mut_args(|argument| match defaults.get(argument.get_id().as_str()) {
        None | Some(Value::Null) => argument,
        Some(Value::String(text)) => with_default(argument, text),
        Some(other) => with_default(argument, &other.to_string()),
    })
}

fn with_default(argument: Arg, default: &str) -> Arg {
    let help = argument
        .get_long_help()
        .or_else(|| argument.get_help())
        .map(ToString::to_string)
        .unwrap_or_default();

    argument.long_help(format!("{help} [default: {default}]"))
}

/// Returns the arguments that are keys, in the order of the fields.
fn arguments() -> Vec<Arg> {
    let config = Config::augment_args_for_update(clap::Command::new("duramen"));
    config.get_arguments().cloned().map(named).collect()
}

/// Names an argument by its key: `flush.interval` has the flag `--flush-interval` and the variable
/// `DURAMEN_FLUSH_INTERVAL`.
fn named(argument: Arg) -> Arg {
    let name = argument.get_id().as_str().replace('.', "_");
    let flag = name.replace('_', "-");
    let variable = format!("DURAMEN_{}", name.to_uppercase());

    let argument = argument.long(flag).env(variable);

    match argument.get_action() {
        ArgAction::SetTrue => switch(argument),
        _ => argument,
    }
}

/// Returns a switch that also takes a value: `--compact`, `--compact=false`, and
/// `DURAMEN_COMPACT=off`.
fn switch(argument: Arg) -> Arg {
    argument
        .action(ArgAction::Set)
        .num_args(0..=1)
        .default_missing_value("true")
        .value_parser(BoolishValueParser::new())
}

/// Returns the arguments that are keys in the order of the reference page: those without a section
/// first.
pub(super) fn settable() -> Vec<Arg> {
    let mut arguments = arguments();
    arguments.sort_by_key(|argument| argument.get_id().as_str().contains('.'));

    arguments
}

fn argument(id: &str) -> Arg {
    command()
        .get_arguments()
        .find(|argument| argument.get_id() == id)
        .expect("an argument of ours")
        .clone()
}

fn origin(matches: &ArgMatches, argument: &Arg) -> Option<Origin> {
    match matches.value_source(argument.get_id().as_str())? {
        ValueSource::CommandLine => argument
            .get_long()
            .map(|long| Origin::Flag(format!("--{long}"))),
        ValueSource::EnvVariable => argument
            .get_env()
            .map(|name| Origin::Environment(name.to_string_lossy().into_owned())),
        _ => None,
    }
}

/// Reads the file twice: as a typed configuration, and as the values that stand in it.
fn read(path: &Path) -> anyhow::Result<(Config, Value)> {
    let text = text_of(path)?;
    let parsed = duramen_settings::read(&text)
        .and_then(|config| Ok((config, duramen_settings::read(&text)?)));
    let (config, written) =
        parsed.map_err(|fault: Fault| anyhow::anyhow!("{}: {fault}", path.display()))?;

    let has_secrets = leaves(&written)
        .iter()
        .any(|(key, _)| SECRETS.contains(&key.as_str()));
    if has_secrets {
        check_mode(path)?;
    }

    Ok((config, written))
}

/// Refuses a file of secrets that others than its owner and its group can read.
fn check_mode(path: &Path) -> anyhow::Result<()> {
    const OTHERS: u32 = 0o007;
    let mode = std::fs::metadata(path)?.permissions().mode();

    anyhow::ensure!(
        mode & OTHERS == 0,
        "{}: the file has secrets, and everybody on this machine may read it: chmod o= {}",
        path.display(),
        path.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;

    fn load(arguments: &[&str]) -> anyhow::Result<Settings> {
        let arguments = std::iter::once("duramen")
            .chain(arguments.iter().copied())
            .map(OsString::from);
        match Settings::load(arguments)? {
            Command::Serve(Role::All, settings) => Ok(*settings),
            other => panic!("{other:?}"),
        }
    }

    fn load_with(yaml: &str, arguments: &[&str]) -> anyhow::Result<Settings> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(yaml.as_bytes()).unwrap();
        load(&[&["--config", file.path().to_str().unwrap()], arguments].concat())
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_key_its_flag_and_its_variable_have_one_name() {
        let mut keys = Vec::new();

        for argument in settable() {
            let key = argument.get_id().as_str();
            let name = key.replace('.', "_");

            assert_eq!(argument.get_long(), Some(&*name.replace('_', "-")), "{key}");
            assert_eq!(
                argument.get_env().unwrap().to_str(),
                Some(&*format!("DURAMEN_{}", name.to_uppercase())),
                "{key}"
            );

            keys.push(key.to_owned());
        }

        keys.sort();

        let tree = serde_json::to_value(Config::default()).unwrap();
        let mut fields: Vec<_> = leaves(&tree).into_iter().map(|(key, _)| key).collect();
        fields.sort();

        assert_eq!(keys, fields);
    }

    #[test]
    fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
        let yaml = "flush: {interval: 1h}\nmulti_tenancy: true\nhead: {bytes_max: 64MiB}\nquery:\n  timeout: 1m\n";
        let settings = load_with(
            yaml,
            &["--flush-interval", "90s", "--cache-bytes-max", "2GiB"],
        )
        .unwrap();

        let config = &settings.config;
        assert_eq!(
            (config.flush.interval, config.query.timeout),
            (Duration::from_secs(90), Duration::from_secs(60))
        );

        assert_eq!(
            (config.head.bytes_max, config.cache.bytes_max),
            (64 << 20, 2 << 30)
        );

        assert!(config.multi_tenancy);
        assert_eq!(
            config.query.lookback_delta,
            Config::default().query.lookback_delta
        );

        assert_eq!(
            settings.origins["flush.interval"],
            Origin::Flag("--flush-interval".to_owned())
        );

        assert_eq!(settings.origins["head.bytes_max"], Origin::File);
        assert_eq!(settings.origins.get("query.lookback_delta"), None);
    }

    #[test]
    fn a_switch_can_be_turned_off_again() {
        assert!(load(&["--multi-tenancy"]).unwrap().config.multi_tenancy);
        assert!(
            !load_with("multi_tenancy: true", &["--multi-tenancy=false"])
                .unwrap()
                .config
                .multi_tenancy
        );
    }

    #[test]
    fn variables_that_look_like_settings_and_are_none_are_found() {
        let names = [
            "DURAMEN_LISTN",
            "DURAMEN_HTTP_LISTEN",
            "DURAMEN_FLUSH_INTERVALL",
            "PATH",
        ];
        let unknown = Settings::unknown_variables(names.map(OsString::from));

        assert_eq!(unknown, ["DURAMEN_FLUSH_INTERVALL", "DURAMEN_LISTN"]);
    }

    #[test]
    fn former_names_keep_their_meaning() {
        let config = load(&["--head-mebibytes-max", "7", "--cache-mebibytes-max", "9"])
            .unwrap()
            .config;
        assert_eq!(
            (config.head.bytes_max, config.cache.bytes_max),
            (7 << 20, 9 << 20)
        );

        let both = load(&["--head-mebibytes-max", "7", "--head-bytes-max", "8MiB"])
            .unwrap()
            .config;
        assert_eq!(both.head.bytes_max, 8 << 20);
    }

    #[test]
    fn durations_are_those_of_prometheus() {
        let config = load(&["--self-scrape-interval", "0", "--flush-interval", "1h30m"])
            .unwrap()
            .config;
        assert_eq!(
            (config.self_scrape(), config.flush.interval),
            (None, Duration::from_secs(5400))
        );
    }

    #[test]
    fn an_unknown_key_is_refused_by_file_key_and_line() {
        let error = format!(
            "{:#}",
            load_with("s3:\n  endpont: http://x\n", &[]).unwrap_err()
        );

        assert!(
            error.contains("s3.endpont: ") && error.ends_with("(line 2)"),
            "{error}"
        );

        let error = format!(
            "{:#}",
            load(&["--config", "/nonexistent/duramen.yml"]).unwrap_err()
        );

        assert!(error.contains("/nonexistent/duramen.yml"), "{error}");
    }

    #[test]
    fn secrets_come_from_the_file_and_not_from_the_command_line() {
        let yaml = "s3: {access_key_id: hunter2, secret_access_key: hunter3}";
        let settings = load_with(yaml, &[]).unwrap();

        let exposed = settings
            .config
            .s3
            .secret_access_key
            .as_ref()
            .map(|secret| secret.expose().to_owned());

        assert_eq!(exposed.as_deref(), Some("hunter3"));
        assert!(!format!("{settings:?} {}", settings.yaml()).contains("hunter"));

        let error = load(&[
            "--s3-access-key-id",
            "hunter2",
            "--s3-secret-access-key",
            "hunter3",
        ])
        .unwrap_err();
        assert!(!format!("{error:?}").contains("hunter"), "{error:?}");
    }
}
