using System.Xml.Linq;

namespace RenderTrust.Architecture.Tests;

/// <summary>Reads the project files: the arrows of docs/architecture.md are the only ones.</summary>
public sealed class ProjectArrowTests
{
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["libs/Contracts"] = [],
        ["libs/Sealing"] = [],
        ["libs/A2A"] = [],
        ["libs/Postgres"] = [],
        ["libs/TaskHubProtocol"] = [],
        ["libs/Telemetry"] = [],
        ["libs/compat/Dapr.Workflow"] = ["libs/TaskHubProtocol"],
        ["libs/compat/NBomber"] = [],
        ["libs/ServiceDefaults"] = ["libs/Contracts", "libs/Telemetry"],
        ["libs/EdgeProtocol"] = ["libs/Contracts"],
        ["services/Identity"] = ["libs/Contracts", "libs/ServiceDefaults", "libs/Postgres"],
        ["services/Ledger"] = ["libs/Contracts", "libs/ServiceDefaults", "libs/Postgres"],
        ["services/Scheduler"] = ["libs/Contracts", "libs/ServiceDefaults", "libs/Postgres", "libs/compat/Dapr.Workflow"],
        ["services/Catalog"] = ["libs/Contracts", "libs/ServiceDefaults", "libs/Postgres"],
        ["gateway/Gateway"] = ["libs/Contracts", "libs/ServiceDefaults", "libs/Postgres", "libs/A2A", "libs/EdgeProtocol"],
        ["edge/Agent"] = ["libs/Contracts", "libs/EdgeProtocol", "libs/Sealing", "libs/Telemetry"],
        ["edge/Sidecar"] = ["libs/Postgres", "libs/TaskHubProtocol", "libs/Telemetry"],
        ["load/PlacementLoad"] = ["services/Scheduler"],
        ["load/WorkflowLoad"] = ["libs/compat/Dapr.Workflow"],
        ["clients/Client"] = ["libs/Contracts", "libs/A2A", "libs/Sealing"],
        ["load/JobLoad"] = ["clients/Client", "libs/compat/NBomber"],
        ["clients/Cli"] = ["clients/Client", "libs/Telemetry"],
    };

    private static readonly string Root = TestKit.RepositoryFolder.Root;

    [Fact]
    public void Every_arrow_between_projects_is_one_that_the_architecture_names()
    {
        var wrong = Projects()
            .SelectMany(project => References(project).Where(target => !Allowed[project].Contains(target)).Select(target => $"{project} -> {target}"))
            .ToList();

        Assert.Empty(wrong);
    }

    [Fact]
    public void Every_project_outside_the_tests_is_on_the_list()
    {
        Assert.Empty(Projects().Except(Allowed.Keys));
        Assert.Empty(Allowed.Keys.Except(Projects()));
    }

    [Fact]
    public void Every_project_is_in_the_solution_and_the_filter_holds_all_but_the_tests()
    {
        var solution = File.ReadAllText(Path.Combine(Root, "RenderTrust.sln"));
        var filter = File.ReadAllText(Path.Combine(Root, "RenderTrust.slnf"));

        foreach (var file in ProjectFiles())
        {
            var path = Path.GetRelativePath(Root, file).Replace('/', '\\');
            Assert.Contains(path, solution, StringComparison.Ordinal);
            Assert.Equal(!path.StartsWith("tests\\", StringComparison.Ordinal), filter.Contains(path.Replace("\\", "\\\\", StringComparison.Ordinal), StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Versions_are_pinned_in_one_place()
    {
        var own = ProjectFiles()
            .SelectMany(file => XDocument.Load(file).Descendants("PackageReference").Where(reference => reference.Attribute("Version") is not null || reference.Attribute("VersionOverride") is not null).Select(reference => $"{file}: {reference}"))
            .ToList();

        Assert.Empty(own);
    }

    [Fact]
    public void The_suite_that_any_sidecar_must_pass_refers_to_none()
    {
        Assert.DoesNotContain(References("tests/Sidecar.Conformance"), target => target.StartsWith("edge/", StringComparison.Ordinal));
    }

    private static IEnumerable<string> Projects() =>
        ProjectFiles().Select(file => Path.GetRelativePath(Root, Path.GetDirectoryName(file)!).Replace('\\', '/')).Where(path => !path.StartsWith("tests/", StringComparison.Ordinal));

    private static IEnumerable<string> References(string project)
    {
        var file = XDocument.Load(Path.Combine(Root, project, Path.GetFileName(project) + ".csproj"));
        var projects = file.Descendants("ProjectReference")
            .Select(reference => Path.GetRelativePath(Root, Path.GetDirectoryName(Path.GetFullPath(Path.Combine(Root, project, reference.Attribute("Include")!.Value)))!));
        return projects.Concat(file.Descendants("StandIn").Select(standIn => $"libs/compat/{standIn.Attribute("Include")!.Value}"));
    }

    private static IEnumerable<string> ProjectFiles() =>
        new[] { "libs", "services", "gateway", "edge", "clients", "tests", "load" }
            .Select(folder => Path.Combine(Root, folder)).Where(Directory.Exists)
            .SelectMany(folder => Directory.EnumerateFiles(folder, "*.csproj", SearchOption.AllDirectories))
            .Where(file => !file.Contains("/node_modules/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal));
}
