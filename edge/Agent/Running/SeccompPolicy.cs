using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace RenderTrust.Agent.Running;

/// <summary>
/// The one list of system calls that a module may make; everything else fails with EPERM. Left out are the calls that reach
/// the kernel's less tested corners or other processes: ptrace, bpf, perf, io_uring, userfaultfd, keyrings, mounts, namespaces,
/// modules, clocks. Written out twice: as JSON for engines, as a BPF program for bubblewrap.
/// </summary>
internal static partial class SeccompPolicy
{
    // All CLONE_NEW* bits: new namespaces are the usual first step out.
    private const uint CloneNamespaceFlags = 0x7E020000;
    private const uint UnixSocketFamily = 1;
    private const uint PermissionDenied = 1;
    private const uint NotImplemented = 38;

    private static readonly string[] Architectures =
        RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? ["SCMP_ARCH_AARCH64"] : ["SCMP_ARCH_X86_64"];

    /// <summary>Docker's profile format.</summary>
    public static string ToDockerJson() => JsonSerializer.Serialize(new
    {
        defaultAction = "SCMP_ACT_ERRNO",
        defaultErrnoRet = PermissionDenied,
        architectures = Architectures,
        syscalls = new object[]
        {
            new { names = Allowed.Select(call => call.Name).ToArray(), action = "SCMP_ACT_ALLOW" },
            new { names = new[] { Clone.Name }, action = "SCMP_ACT_ALLOW", args = new[] { new { index = 0, value = CloneNamespaceFlags, valueTwo = 0u, op = "SCMP_CMP_MASKED_EQ" } } },
            new { names = new[] { Socket.Name }, action = "SCMP_ACT_ALLOW", args = new[] { new { index = 0, value = UnixSocketFamily, valueTwo = 0u, op = "SCMP_CMP_EQ" } } },

            // clone3 passes its flags in memory, out of a filter's sight; "not implemented" makes libc fall back to clone.
            new { names = new[] { Clone3.Name }, action = "SCMP_ACT_ERRNO", errnoRet = NotImplemented },
        },
    });

    /// <summary>The same policy as an array of <c>struct sock_filter</c> for this machine's architecture.</summary>
    public static byte[] ToBpf() => ToBpf(RuntimeInformation.ProcessArchitecture);

    internal static byte[] ToBpf(Architecture architecture)
    {
        var arm = architecture switch
        {
            Architecture.X64 => false,
            Architecture.Arm64 => true,
            _ => throw new PlatformNotSupportedException($"No seccomp table for {architecture}: use the docker runner on this machine."),
        };
        var program = new BpfProgram();

        // struct seccomp_data: nr at 0, arch at 4, arguments (8 bytes each, little-endian) from 16.
        program.Load(4);
        program.ReturnUnlessEqual(arm ? 0xC00000B7 : 0xC000003E, BpfProgram.KillProcess);
        program.Load(0);
        if (!arm)
        {
            // The x32 call numbers would slip past a list of 64-bit ones.
            program.ReturnIfAtLeast(0x40000000, BpfProgram.KillProcess);
        }

        foreach (var call in Allowed)
        {
            if (Number(call) is >= 0 and var number)
            {
                program.ReturnIfEqual((uint)number, BpfProgram.Allow);
            }
        }

        program.ReturnIfEqual((uint)Number(Clone3), BpfProgram.Error(NotImplemented));
        program.WhenCall((uint)Number(Clone), argument: 0, body => body.ReturnIfAnyBit(CloneNamespaceFlags, BpfProgram.Error(PermissionDenied), BpfProgram.Allow));
        program.WhenCall((uint)Number(Socket), argument: 0, body => body.ReturnByEquality(UnixSocketFamily, BpfProgram.Allow, BpfProgram.Error(PermissionDenied)));
        program.Return(BpfProgram.Error(PermissionDenied));
        return program.ToBytes();

        int Number(Syscall call) => arm ? call.Arm64 : call.X64;
    }

    internal sealed record Syscall(string Name, int X64, int Arm64);
}

/// <summary>Writes classic BPF. Jumps only ever skip forward over the next few instructions, so the 8-bit offsets always suffice.</summary>
internal sealed class BpfProgram
{
    public const uint Allow = 0x7FFF0000;
    public const uint KillProcess = 0x80000000;

    private const ushort LoadWord = 0x20, JumpEqual = 0x15, JumpAtLeast = 0x35, JumpAnyBit = 0x45, ReturnConstant = 0x06;
    private const int InstructionsMax = 4096;

    private readonly List<(ushort Code, byte IfTrue, byte IfFalse, uint Value)> _instructions = [];

    public static uint Error(uint number) => 0x00050000 | number;

    public void Load(uint offset) => Add(LoadWord, 0, 0, offset);

    public void Return(uint action) => Add(ReturnConstant, 0, 0, action);

    public void ReturnIfEqual(uint value, uint action)
    {
        Add(JumpEqual, 0, 1, value);
        Return(action);
    }

    public void ReturnUnlessEqual(uint value, uint action)
    {
        Add(JumpEqual, 1, 0, value);
        Return(action);
    }

    public void ReturnIfAtLeast(uint value, uint action)
    {
        Add(JumpAtLeast, 0, 1, value);
        Return(action);
    }

    public void ReturnIfAnyBit(uint mask, uint ifAny, uint ifNone)
    {
        Add(JumpAnyBit, 0, 1, mask);
        Return(ifAny);
        Return(ifNone);
    }

    public void ReturnByEquality(uint value, uint ifEqual, uint otherwise)
    {
        Add(JumpEqual, 0, 1, value);
        Return(ifEqual);
        Return(otherwise);
    }

    /// <summary>For one call, judges the low half of an argument; the body must return on every path.</summary>
    public void WhenCall(uint number, int argument, Action<BpfProgram> body)
    {
        var inner = new BpfProgram();
        inner.Load((uint)(16 + (argument * 8)));
        body(inner);
        Add(JumpEqual, 0, checked((byte)inner._instructions.Count), number);
        _instructions.AddRange(inner._instructions);
    }

    public byte[] ToBytes()
    {
        if (_instructions.Count > InstructionsMax)
        {
            throw new InvalidOperationException($"The filter has {_instructions.Count} instructions; the kernel takes {InstructionsMax}.");
        }

        var bytes = new byte[_instructions.Count * 8];
        for (var i = 0; i < _instructions.Count; i++)
        {
            var (code, ifTrue, ifFalse, value) = _instructions[i];
            BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(i * 8), code);
            bytes[(i * 8) + 2] = ifTrue;
            bytes[(i * 8) + 3] = ifFalse;
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan((i * 8) + 4), value);
        }

        return bytes;
    }

    private void Add(ushort code, byte ifTrue, byte ifFalse, uint value) => _instructions.Add((code, ifTrue, ifFalse, value));
}
