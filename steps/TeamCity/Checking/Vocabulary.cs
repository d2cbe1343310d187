namespace CiSteps.TeamCity.Checking;

/// <summary>
/// The elements and attributes of settings files. Source: files that servers 9.0 to 2025.3 wrote; order as they write it.
/// </summary>
internal static class Vocabulary
{
    /// <summary>
    /// One element: what stands within it, in this order, and its attributes; a name with an exclamation mark must be there.
    /// </summary>
    internal sealed record Element(string[] Children, string[] Attributes);

    private static readonly Element Extended = new(["parameters"], ["id", "type!"]);
    private static readonly Element Free = new([], []);

    private static readonly Element BuildSettings = new(
        [
            "options", "disabled-settings", "parameters", "build-runners", "vcs-settings", "requirements", "build-triggers",
            "build-extensions", "artifact-dependencies", "dependencies", "cleanup"
        ],
        ["ref"]);

    private static readonly Dictionary<string, Element> Elements = new(StringComparer.Ordinal)
    {
        ["project"] = new(
            [
                "name!", "description", "default-template", "parameters", "project-extensions", "cleanup", "buildTypesOrder",
                "subprojectsOrder"
            ],
            ["parent-id", "uuid", "archived"]),
        ["build-type"] = new(["name!", "description", "settings!"], ["uuid", "paused"]),
        ["template"] = new(["name!", "description", "settings!"], ["uuid"]),
        ["meta-runner"] = new(["description", "settings!"], ["name!"]),
        ["vcs-root"] = new(["name!", "param"], ["uuid", "type!", "modification-check-interval"]),
        ["meta-runner/settings"] = new(["parameters", "build-runners", "requirements"], []),
        ["settings"] = BuildSettings,
        ["options"] = new(["option"], []),
        ["option"] = new([], ["name!", "value!"]),
        ["disabled-settings"] = new(["setting-ref"], []),
        ["setting-ref"] = new([], ["ref!"]),
        ["parameters"] = new(["param"], []),
        ["param"] = new([], ["name!", "value", "spec"]),
        ["build-runners"] = new(["runner"], ["order"]),
        ["runner"] = new(["conditions", "parameters"], ["id", "name", "type!"]),
        // "checkout-mode" and the labels are of servers before 9.0.
        ["vcs-settings"] = new(["vcs-entry-ref"], ["checkout-mode", "labeling-type", "labeling-pattern"]),
        ["vcs-entry-ref"] = new(["checkout-rule"], ["root-id!"]),
        ["checkout-rule"] = new([], ["rule!"]),
        ["build-triggers"] = new(["build-trigger"], []),
        ["build-trigger"] = Extended,
        ["build-extensions"] = new(["extension"], []),
        ["project-extensions"] = new(["extension"], []),
        ["extension"] = Extended,
        ["artifact-dependencies"] = new(["dependency"], []),
        ["dependency"] = new(["revisionRule!", "artifact"], ["id", "sourceBuildTypeId!", "cleanDestination"]),
        ["revisionRule"] = new([], ["name!", "revision", "branch"]),
        ["artifact"] = new([], ["sourcePath!"]),
        ["dependencies"] = new(["depend-on"], []),
        ["depend-on"] = new(["options"], ["sourceBuildTypeId!"]),
        ["default-template"] = new([], ["ref!"]),
        ["buildTypesOrder"] = new([], ["order!"]),
        ["subprojectsOrder"] = new([], ["order!"]),
        ["name"] = Free,
        ["description"] = Free,
    };

    /// <summary>
    /// What is known of an element; null within what only the server reads (<c>cleanup</c>) and for conditions, whose names are a
    /// rule of their own.
    /// </summary>
    public static Element? Find(string? parent, string name) =>
        Elements.GetValueOrDefault($"{parent}/{name}") ?? Elements.GetValueOrDefault(name);

    /// <summary>Values of a parameter or attribute that documentation and settings agree on.</summary>
    public static readonly IReadOnlyDictionary<(string Type, string Parameter), string[]> Values =
        new Dictionary<(string, string), string[]>
        {
            [("vcsTrigger", "quietPeriodMode")] = ["DO_NOT_USE", "USE_DEFAULT", "USE_CUSTOM"],
            [("schedulingTrigger", "schedulingPolicy")] = ["daily", "weekly", "cron"],
            [("simpleRunner", "plugin.docker.imagePlatform")] = ["", "linux", "windows"],
            [("AutoMergeFeature", "teamcity.automerge.buildStatusCondition")] = ["successful", "noNewTests"],
            [("AutoMergeFeature", "teamcity.automerge.run.policy")] = ["runBeforeBuildFinish", "runAfterBuildFinish"],
            [("AutoMergeFeature", "teamcity.merge.policy")] = ["alwaysCreateMergeCommit", "fastForward"],
            [("versionedSettings", "buildSettings")] = ["", "ALWAYS_USE_CURRENT", "PREFER_CURRENT", "PREFER_VCS"],
            [("versionedSettings", "enabled")] = ["", "true", "false"],
            [("versionedSettings", "format")] = ["xml", "kotlin"],
            [("JetBrains.SharedResources", "type")] = ["quoted", "infinite", "custom"],
            [("jetbrains.git", "authMethod")] = [
                "ANONYMOUS",
                "PASSWORD",
                "TEAMCITY_SSH_KEY",
                "PRIVATE_KEY_DEFAULT",
                "PRIVATE_KEY_FILE",
                "ACCESS_TOKEN"
            ],
            [("jetbrains.git", "usernameStyle")] = ["NAME", "USERID", "EMAIL", "FULL"],
            [("jetbrains.git", "submoduleCheckout")] = ["CHECKOUT", "IGNORE"],
            [("jetbrains.git", "agentCleanPolicy")] = ["NEVER", "ALWAYS", "ON_BRANCH_CHANGE"],
            [("jetbrains.git", "agentCleanFilesPolicy")] = ["IGNORED_ONLY", "NON_IGNORED_ONLY", "ALL_UNTRACKED"],
        };

    /// <summary>Parameters by the type of step, trigger, feature, project feature or VCS root that has them.
    /// Sources: JetBrains' documentation and Kotlin DSL (which names the XML parameter of each property), and settings that
    /// servers wrote.</summary>
    public static readonly IReadOnlyDictionary<string, string[]> Parameters =
        new Dictionary<string, string[]>(StringComparer.Ordinal)
        {
            ["simpleRunner"] =
            [
                "use.custom.script", "script.content", "command.executable", "command.parameters", "teamcity.build.workingDir",
                "log.stderr.as.errors", "teamcity.step.mode",
                "plugin.docker.imageId", "plugin.docker.imagePlatform", "plugin.docker.pull.enabled",
                "plugin.docker.run.parameters",
            ],
            ["vcsTrigger"] = [
                "branchFilter", "triggerRules", "quietPeriodMode", "quietPeriod", "perCheckinTriggering",
                "groupCheckinsByCommitter", "watchChangesInDependencies", "enableQueueOptimization"
            ],
            ["buildDependencyTrigger"] = ["dependsOn", "afterSuccessfulBuildOnly", "branchFilter"],
            ["schedulingTrigger"] =
            [
                "schedulingPolicy", "hour", "minute", "dayOfWeek", "timezone", "cronExpression_sec", "cronExpression_min",
                "cronExpression_hour", "cronExpression_dm", "cronExpression_month",
                "cronExpression_dw", "cronExpression_year", "triggerBuildWithPendingChangesOnly",
                "triggerBuildIfWatchedBuildChanges", "revisionRuleDependsOn", "revisionRule",
                "revisionRuleBuildBranch", "promoteWatchedBuild", "triggerBuildOnAllCompatibleAgents", "branchFilter",
                "triggerRules", "enableQueueOptimization",
            ],
            ["retryBuildTrigger"] = [
                "retryAttempts",
                "enqueueTimeout",
                "moveToTheQueueTop",
                "reRunBuildWithTheSameRevisions",
                "branchFilter"
            ],
            ["commit-status-publisher"] =
            [
                "publisherId", "vcsRootId", "github_host", "github_authentication_type", "secure:github_access_token",
                "github_username", "secure:github_password", "github_oauth_user", "authType", "tokenId",
                "build_custom_name", "gitlabApiUrl", "secure:gitlabAccessToken", "stashBaseUrl", "stashUsername",
                "secure:stashPassword", "bitbucketUsername", "secure:bitbucketPassword", "tfsAuthType",
                "secure:accessToken", "publish.pull.requests",
            ],
            ["notifications"] =
            [
                "notifier", "email", "branchFilter", "buildStarted", "buildFailedToStart", "buildFinishedFailure",
                "firstFailureAfterSuccess", "buildFinishedNewFailure", "newBuildProblemOccured",
                "buildFinishedSuccess", "firstSuccessAfterFailure", "buildFailing", "buildProbablyHanging",
                "queuedBuildRequiresApproval", "plugin:notificator:jbSlackNotifier:connection",
                "plugin:notificator:jbSlackNotifier:channel", "plugin:notificator:jbSlackNotifier:messageFormat",
            ],
            ["approval-feature"] = ["rules", "timeout", "manualStartIsApproval"],
            ["versionedSettings"] =
            [
                "enabled", "rootId", "buildSettings", "format", "showChanges", "credentialsStorageType", "twoWaySynchronization",
                "ignoreChangesInDependenciesAndVcsSettings",
            ],
            ["jetbrains.git"] =
            [
                "url", "push_url", "branch", "teamcity:branchSpec", "authMethod", "username", "secure:password",
                "teamcitySshKey", "secure:passphrase", "privateKeyPath", "tokenId", "usernameStyle",
                "submoduleCheckout", "useAlternates", "agentCleanPolicy", "agentCleanFilesPolicy", "ignoreKnownHosts",
                "reportTagRevisions", "userForTags", "serverSideAutoCrlf",
            ],
        };
}
