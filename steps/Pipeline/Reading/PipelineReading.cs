using CiSteps.Pipeline.Yaml;

namespace CiSteps.Pipeline.Reading;

/// <summary>The root of the file, and its short sections.</summary>
internal static class PipelineReading
{
    public static PipelineDefinition? Read(YamlPart root, string source, RegistryOverride registry, Problems problems)
    {
        if (MapReader.Of(root, Section.Pipeline, "the file", problems) is not { } file) return null;
        var hosts = Registry(file, registry, problems);
        var reading = new ValueReading(problems, hosts);
        var branches = Branches(file, problems);
        var notifications = Notifications(file, problems);
        var components = new List<ComponentDefinition>();
        if (!file.Has("components")) file.Missing("components");
        foreach (var part in file.Items("components"))
            if (ComponentReading.Read(part, reading) is { } component) components.Add(component);
        var suites = file.Items("integration")
            .Select(part => SuiteReading.Read(part, components, reading))
            .OfType<SuiteDefinition>()
            .ToList();
        var production = ProductionReading.Read(file, components, reading);
        References.Check(file, components, notifications, reading);
        if (hosts.Push.Length == 0 && components.Exists(component => component.Image is not null))
            problems.Add(file.Place,
                "there are images and no registry to push them to: add \"registry: { push: host/prefix }\", " +
                "or give CISTEPS_REGISTRY");
        return new PipelineDefinition(hosts, branches, components, suites, production, notifications, source);
    }

    private static RegistryDefinition Registry(MapReader file, RegistryOverride above, Problems problems)
    {
        var registry = file.Map("registry", Section.Registry, "\"registry\"");
        var push = above.Push ?? registry?.Text("push") ?? "";
        // A pull host of the file belongs to the file's push host.
        var pull = above.Pull ?? (above.Push is null ? registry?.OptionalText("pull") : null) ?? push;
        foreach (var (key, host) in new[] { ("push", push), ("pull", pull) })
            if (host.Length > 0 && (key == "push" || pull != push) && RegistryReading.Mistake(host) is { } mistake)
            {
                // A password would stand in the log; a digest begins with the same sign.
                var shown = host.LastIndexOf('@') is var at and >= 0 && host[..at].Contains(':', StringComparison.Ordinal)
                    ? "***" + host[at..] : host;
                var text = $"\"{shown}\" is not a registry for \"{key}\": {mistake}";
                if (registry is null) problems.Add(file.Place, text);
                else registry.Problem(key, text);
            }
        var prefix = registry?.OptionalText("branch-prefix") ?? "ci";
        if (!ValueReading.IsRepositoryPath(prefix))
            registry?.Problem("branch-prefix",
                $"\"{prefix}\" is not part of an image repository's name; write small letters, digits and single . _ - inside");
        return new RegistryDefinition(push, pull, prefix, registry?.Switch("plain-http") ?? false);
    }

    private static BranchesDefinition Branches(MapReader file, Problems problems)
    {
        var branches = file.Map("branches", Section.Branches, "\"branches\"");
        var target = branches?.OptionalText("target") ?? "main";
        var pattern = branches?.OptionalText("private") ?? "ci/*";
        if (target.Length == 0
            || target.IndexOfAny(['*', ' ', ':', '~', '^', '?', '[', '\\']) >= 0
            || target.StartsWith("refs/", StringComparison.Ordinal))
            branches?.Problem("target", $"\"{target}\" is not a branch name; write it plainly, such as main");
        if (pattern.Split('*').Length != 2 || pattern.StartsWith("refs/", StringComparison.Ordinal))
            branches?.Problem("private", $"\"{pattern}\" is not a branch pattern with one *; write it like ci/*");
        var definition = new BranchesDefinition(target, pattern);
        if (definition.IsPrivate(target))
            problems.Add(branches?.Place ?? file.Place,
                $"the target branch \"{target}\" matches the pattern of private branches \"{pattern}\"; they must differ");
        return definition;
    }

    private static NotificationsDefinition Notifications(MapReader file, Problems problems)
    {
        var notifications = file.Map("notifications", Section.Notifications, "\"notifications\"");
        var owners = new Dictionary<string, OwnerDefinition>(StringComparer.Ordinal);
        foreach (var (name, part) in notifications?.Entries("owners") ?? [])
        {
            if (MapReader.Of(part, Section.Owner, $"owner \"{name.Value}\"", problems) is not { } owner) continue;
            var webhook = owner.OptionalText("webhook");
            if (webhook is not null && !ValueReading.IsWebhook(webhook))
                owner.Problem("webhook",
                    $"\"{webhook}\" is not a webhook; write an http(s) URL, or env:NAME for one that an environment " +
                    "variable holds");
            var email = owner.OptionalText("email");
            if (email is not null && (email.Count(letter => letter == '@') != 1 || email.Contains(' ')))
                owner.Problem("email", $"\"{email}\" is not an e-mail address");
            owners[name.Value] = new OwnerDefinition(name.Value, webhook, email);
        }
        var platform = notifications?.OptionalText("platform");
        if (platform is not null && !owners.ContainsKey(platform))
            notifications!.Problem("platform",
                $"owner \"{platform}\" is not in notifications.owners{ValueReading.Known(owners.Keys)}");
        return new NotificationsDefinition(owners, platform);
    }
}
