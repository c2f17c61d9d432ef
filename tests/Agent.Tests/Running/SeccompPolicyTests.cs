using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using RenderTrust.Agent.Running;

namespace RenderTrust.Agent.Tests.Running;

/// <summary>Runs the filter in a small interpreter, as the kernel would.</summary>
public sealed class SeccompPolicyTests
{
    private const uint X64 = 0xC000003E, Arm64 = 0xC00000B7;
    private const uint Allow = 0x7FFF0000, Denied = 0x00050001, NotImplemented = 0x00050026, Kill = 0x80000000;

    [Theory]
    [InlineData(0, 0, Allow)] // read
    [InlineData(59, 0, Allow)] // execve
    [InlineData(101, 0, Denied)] // ptrace
    [InlineData(321, 0, Denied)] // bpf
    [InlineData(425, 0, Denied)] // io_uring_setup
    [InlineData(272, 0, Denied)] // unshare
    [InlineData(165, 0, Denied)] // mount
    [InlineData(250, 0, Denied)] // keyctl
    [InlineData(56, 0x01200011, Allow)] // clone as fork does
    [InlineData(56, 0x10000011, Denied)] // clone into a new user namespace
    [InlineData(435, 0, NotImplemented)] // clone3
    [InlineData(41, 1, Allow)] // socket, unix
    [InlineData(41, 2, Denied)] // socket, internet
    [InlineData(41, 16, Denied)] // socket, netlink
    [InlineData(0x40000000, 0, Kill)] // x32
    [InlineData(9999, 0, Denied)]
    public void X86_64_calls_are_judged(uint call, ulong argument, uint expected) =>
        Assert.Equal(expected, Run(SeccompPolicy.ToBpf(Architecture.X64), X64, call, argument));

    [Theory]
    [InlineData(63, 0, Allow)] // read
    [InlineData(117, 0, Denied)] // ptrace
    [InlineData(220, 0x10000011, Denied)] // clone into a new user namespace
    [InlineData(198, 2, Denied)] // socket, internet
    public void Arm64_calls_are_judged(uint call, ulong argument, uint expected) =>
        Assert.Equal(expected, Run(SeccompPolicy.ToBpf(Architecture.Arm64), Arm64, call, argument));

    [Fact]
    public void Calls_of_another_architecture_kill() => Assert.Equal(Kill, Run(SeccompPolicy.ToBpf(Architecture.X64), 0x40000003, 1, 0));

    [Fact]
    public void The_engine_profile_denies_by_default_and_names_the_same_calls()
    {
        using var profile = JsonDocument.Parse(SeccompPolicy.ToDockerJson());

        Assert.Equal("SCMP_ACT_ERRNO", profile.RootElement.GetProperty("defaultAction").GetString());
        var names = profile.RootElement.GetProperty("syscalls")[0].GetProperty("names").EnumerateArray().Select(name => name.GetString()).ToHashSet();
        Assert.Contains("execve", names);
        Assert.DoesNotContain("ptrace", names);
        Assert.DoesNotContain("socket", names);
    }

    private static uint Run(byte[] program, uint architecture, uint call, ulong argument)
    {
        var data = new byte[64];
        BinaryPrimitives.WriteUInt32LittleEndian(data, call);
        BinaryPrimitives.WriteUInt32LittleEndian(data.AsSpan(4), architecture);
        BinaryPrimitives.WriteUInt64LittleEndian(data.AsSpan(16), argument);
        uint accumulator = 0;
        for (var at = 0; ; at++)
        {
            var instruction = program.AsSpan(at * 8, 8);
            var value = BinaryPrimitives.ReadUInt32LittleEndian(instruction[4..]);
            switch (BinaryPrimitives.ReadUInt16LittleEndian(instruction))
            {
                case 0x20: accumulator = BinaryPrimitives.ReadUInt32LittleEndian(data.AsSpan((int)value)); break;
                case 0x15: at += accumulator == value ? instruction[2] : instruction[3]; break;
                case 0x35: at += accumulator >= value ? instruction[2] : instruction[3]; break;
                case 0x45: at += (accumulator & value) != 0 ? instruction[2] : instruction[3]; break;
                case 0x06: return value;
                default: throw new InvalidOperationException("unknown instruction");
            }
        }
    }
}
