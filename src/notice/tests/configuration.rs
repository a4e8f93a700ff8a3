//! The file of receivers, and their filters.

use super::*;

fn file(entries: &str) -> Result<Receivers, String> {
    let text = format!("receivers:\n{entries}");
    receivers_from_text(&text, "notices.yaml").map_err(|error| error.to_string())
}

#[test]
fn a_file_names_receivers_and_what_each_is_told() {
    let text = "source: /clusters/production
receivers:
- {name: chat, format: Slack, urlFile: /u, kinds: [AwaitingApproval, Failed], namespaces: [helpdesk]}
- {name: flow, format: Teams, url: 'https://x.example:8443/a?sig=b', policies: [contoso], omitUser: true}
- {name: events, format: CloudEvents, url: 'https://x.example/', tokenFile: /t, hmacKeyFile: /k}
";
    let Receivers { source, all } = receivers_from_text(text, "notices.yaml").unwrap();
    assert_eq!(source.as_deref(), Some("/clusters/production"));
    let formats: Vec<Format> = all.iter().map(|receiver| receiver.format).collect();
    assert_eq!(formats, [Format::Slack, Format::Teams, Format::CloudEvents]);
    assert_eq!(all[0].filter.kinds, Some(vec![Kind::AwaitingApproval, Kind::Failed]));
    assert_eq!(all[0].address, Address::File("/u".into()));
    assert!(!all[0].omit_user && all[1].omit_user);
    assert_eq!(all[2].hmac_key.as_deref(), Some(std::path::Path::new("/k")));
    assert!(!format!("{all:?}").contains("sig=b"), "the URL may be a secret");
}

#[test]
fn all_problems_of_a_file_are_told_at_once_with_place_and_remedy() {
    let error = file(
        "- {name: A, format: Slack, url: 'http://hooks.example/s3cr3t', kinds: []}
- {name: b, format: Slack, namespaces: [], policies: []}
- {name: b, format: Slack, url: 'https://u:s3cr3t@x/', urlFile: /u}
- {name: c, format: Slack, url: 'https://u:s3cr3t@x/'}
",
    )
    .unwrap_err();
    let expected = "notices.yaml: receivers[0] (A): name: \"A\" is not a valid name; use up to 63 lower case letters, digits and hyphens, and no hyphen at either end
notices.yaml: receivers[0] (A): url: it is not an https URL with a host; write https://host/path
notices.yaml: receivers[0] (A): kinds: the list is empty, and nothing would be sent; name some, or leave it out for all
notices.yaml: receivers[1] (b): url: there must be exactly one of url and urlFile; set url, or urlFile if the URL is a secret
notices.yaml: receivers[1] (b): namespaces: the list is empty, and nothing would be sent; name some, or leave it out for all
notices.yaml: receivers[1] (b): policies: the list is empty, and nothing would be sent; name some, or leave it out for all
notices.yaml: receivers[2] (b): name: an earlier entry has the same name; give each entry its own name
notices.yaml: receivers[2] (b): url: there must be exactly one of url and urlFile; set url, or urlFile if the URL is a secret
notices.yaml: receivers[3] (c): url: the URL contains a user name; write https://host/path";
    assert_eq!(error, expected);
    let none = file(" []").unwrap_err();
    assert_eq!(
        none,
        "notices.yaml: there is no receiver in the file; add at least one entry to receivers"
    );
    for (entry, part) in [
        ("- {name: a, format: Mail, url: 'https://x/'}\n", "unknown variant `Mail`"),
        (
            "- {name: a, format: Slack, url: 'https://x/', kinds: [Lost]}\n",
            "unknown variant `Lost`",
        ),
        ("- {name: a, format: Slack, url: 'https://x/', token: s3cr3t}\n", "unknown field `token`"),
    ] {
        let error = file(entry).unwrap_err();
        assert!(error.contains(part) && !error.contains("s3cr3t"), "{error}");
    }
}

#[test]
fn a_filter_lets_through_what_has_all_that_it_asks_for() {
    let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
    let kinds = Filter { kinds: Some(vec![Kind::Issued, Kind::Stop]), ..Filter::default() };
    let namespace = Filter { namespaces: names(&["helpdesk"]), ..Filter::default() };
    let elsewhere = Filter { namespaces: names(&["other"]), ..Filter::default() };
    let policies = Filter { policies: names(&["fabrikam"]), ..Filter::default() };
    let both = Filter { policies: names(&["contoso"]), ..namespace.clone() };
    let of_request = last(&request(ACTIVE));
    for (filter, issued, foreign_pass, drifted, stopped) in [
        (Filter::default(), true, true, true, true),
        (kinds, true, false, false, true),
        (namespace, true, false, false, false),
        (elsewhere, false, false, false, false),
        (policies, false, true, false, false),
        (both, true, false, false, false),
    ] {
        let passes = [of_request.clone(), foreign(), drift(Reason::Drifted), stop(Stop::On)]
            .map(|notice| filter.passes(&notice));
        assert_eq!(passes, [issued, foreign_pass, drifted, stopped], "{filter:?}");
    }
}
