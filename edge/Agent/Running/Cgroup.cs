using System.Globalization;
using RenderTrust.Agent.Scratch;

namespace RenderTrust.Agent.Running;

/// <summary>
/// A control group made by root around one sandbox, on v1 (one tree per controller, hybrid included) and on v2.
/// It is also the only complete list of a sandbox's processes, hence the means to prove that all are dead.
/// </summary>
internal sealed class Cgroup
{
    private const string Base = "/sys/fs/cgroup";
    private const string Parent = "rendertrust";

    private readonly string[] _folders;
    private readonly bool _unified;

    private Cgroup(string[] folders, bool unified)
    {
        _folders = folders;
        _unified = unified;
    }

    /// <summary>Where a starting process writes its own id to be inside.</summary>
    public IEnumerable<string> ProcessFiles => _folders.Select(folder => Path.Combine(folder, "cgroup.procs"));

    public static bool IsUnified => File.Exists(Path.Combine(Base, "cgroup.controllers"));

    /// <summary>Null when this process may make groups with the three controllers; otherwise why not.</summary>
    public static string? WhyNot()
    {
        if (!Native.IsRoot)
        {
            return "not root: control groups cannot be made";
        }

        try
        {
            var node = "probe-" + Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
            Create(node, Guid.CreateVersion7().ToString("N"), new UnitLimits(64 << 20, 16, 1, 1 << 20, TimeSpan.FromSeconds(1))).Remove();
            RemoveNode(node);
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return $"control groups cannot be made: {exception.Message}";
        }
    }

    public static Cgroup Create(string node, string run, UnitLimits limits) =>
        IsUnified ? CreateUnified(node, run, limits) : CreateSplit(node, run, limits);

    /// <summary>Every process in any group of this node; used for orphans.</summary>
    public static int KillAllOf(string node)
    {
        var killed = 0;
        foreach (var nodeFolder in NodeFolders(node).Where(Directory.Exists))
        {
            foreach (var folder in Directory.GetDirectories(nodeFolder))
            {
                var group = new Cgroup([folder], IsUnified);
                killed = Math.Max(killed, group.Processes().Count);
                group.KillAll();
                group.Remove();
            }
        }

        return killed;
    }

    /// <summary>Takes the node's own, now empty, groups away.</summary>
    public static void RemoveNode(string node)
    {
        foreach (var folder in NodeFolders(node).Where(Directory.Exists))
        {
            try
            {
                Directory.Delete(folder, recursive: false);
            }
            catch (IOException)
            {
                // A unit of this node still runs in it; its own end removes what it made.
            }
        }
    }

    public IReadOnlyList<int> Processes()
    {
        try
        {
            return [.. File.ReadAllLines(Path.Combine(_folders[0], "cgroup.procs")).Select(line => int.Parse(line, CultureInfo.InvariantCulture))];
        }
        catch (IOException)
        {
            // The group is gone, and with it every process.
            return [];
        }
    }

    /// <summary>Kills until none is left: a fork between reading and killing is caught by the next round.</summary>
    public void KillAll()
    {
        for (var round = 0; round < 1000; round++)
        {
            var processes = Processes();
            if (processes.Count == 0)
            {
                return;
            }

            foreach (var process in processes)
            {
                Native.Kill(process);
            }

            Thread.Yield();
        }
    }

    /// <summary>Whether the kernel's out-of-memory killer struck inside.</summary>
    public bool WasOutOfMemory()
    {
        var file = _unified ? "memory.events" : "memory.oom_control";
        foreach (var folder in _folders)
        {
            var path = Path.Combine(folder, file);
            if (File.Exists(path))
            {
                return File.ReadAllLines(path).Any(line => line.StartsWith("oom_kill ", StringComparison.Ordinal) && line != "oom_kill 0");
            }
        }

        return false;
    }

    public void Remove()
    {
        foreach (var folder in _folders)
        {
            for (var attempt = 0; Directory.Exists(folder); attempt++)
            {
                try
                {
                    // rmdir, not a recursive delete: the files inside are the kernel's.
                    Directory.Delete(folder, recursive: false);
                }
                catch (IOException) when (attempt < 200)
                {
                    // A killed process leaves its group only once it is reaped.
                    Thread.Yield();
                }
            }
        }
    }

    /// <summary>The memory limit that really holds for a process, from its control group; null when it cannot be seen from here.</summary>
    public static long? MemoryLimitOf(int processId)
    {
        try
        {
            foreach (var line in File.ReadAllLines($"/proc/{processId}/cgroup"))
            {
                var fields = line.Split(':', 3);
                var path = (fields[0], fields[1]) switch
                {
                    (_, "memory") => $"{Base}/memory{fields[2]}/memory.limit_in_bytes",
                    ("0", "") when IsUnified => $"{Base}{fields[2]}/memory.max",
                    _ => null,
                };
                if (path is not null && File.Exists(path))
                {
                    return long.TryParse(File.ReadAllText(path).Trim(), CultureInfo.InvariantCulture, out var limit) ? limit : long.MaxValue;
                }
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // The process has ended, or lives in another namespace: unknown, not unlimited.
        }

        return null;
    }

    private static Cgroup CreateSplit(string node, string run, UnitLimits limits)
    {
        var memory = Make("memory", node, run);
        Write(memory, "memory.limit_in_bytes", limits.MemoryBytes);
        if (File.Exists(Path.Combine(memory, "memory.memsw.limit_in_bytes")))
        {
            Write(memory, "memory.memsw.limit_in_bytes", limits.MemoryBytes);
        }

        var pids = Make("pids", node, run);
        Write(pids, "pids.max", limits.MaxProcesses);
        var cpu = Make("cpu", node, run);
        Write(cpu, "cpu.cfs_period_us", 100_000);
        Write(cpu, "cpu.cfs_quota_us", (long)(limits.CpuCount * 100_000));
        return new Cgroup([memory, pids, cpu], unified: false);

        static string Make(string controller, string node, string run)
        {
            var tree = Path.Combine(Base, controller);
            if (!Directory.Exists(tree))
            {
                throw new IOException($"controller '{controller}' is not mounted at {tree}");
            }

            return Directory.CreateDirectory(Path.Combine(tree, Parent, node, run)).FullName;
        }
    }

    private static Cgroup CreateUnified(string node, string run, UnitLimits limits)
    {
        var folder = Base;
        foreach (var part in (string[])[Parent, node, run])
        {
            // A group hands controllers to its children only when told to.
            File.WriteAllText(Path.Combine(folder, "cgroup.subtree_control"), "+memory +pids +cpu");
            folder = Directory.CreateDirectory(Path.Combine(folder, part)).FullName;
        }

        Write(folder, "memory.max", limits.MemoryBytes);
        if (File.Exists(Path.Combine(folder, "memory.swap.max")))
        {
            Write(folder, "memory.swap.max", 0);
        }

        Write(folder, "pids.max", limits.MaxProcesses);
        File.WriteAllText(Path.Combine(folder, "cpu.max"), string.Create(CultureInfo.InvariantCulture, $"{(long)(limits.CpuCount * 100_000)} 100000"));
        return new Cgroup([folder], unified: true);
    }

    private static IEnumerable<string> NodeFolders(string node) => IsUnified
        ? [Path.Combine(Base, Parent, node)]
        : ((string[])["memory", "pids", "cpu"]).Select(controller => Path.Combine(Base, controller, Parent, node));

    private static void Write(string folder, string file, long value) =>
        File.WriteAllText(Path.Combine(folder, file), value.ToString(CultureInfo.InvariantCulture));
}
