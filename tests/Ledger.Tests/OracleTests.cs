namespace RenderTrust.Ledger.Tests;

/// <summary>Random operations on the real ledger and on the page of plain code. RENDERTRUST_LONG=1 runs the long form and prints counts.</summary>
public sealed class OracleTests(LedgerDatabase ledger) : IClassFixture<LedgerDatabase>
{
    private static readonly DateTimeOffset Start = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task Random_operations_answer_and_add_up_as_the_oracle_does()
    {
        var isLong = Environment.GetEnvironmentVariable("RENDERTRUST_LONG") == "1";
        var operations = isLong ? 100_000 : 1_500;
        var seed = int.TryParse(Environment.GetEnvironmentVariable("RENDERTRUST_SEED"), out var given) ? given : Random.Shared.Next();
        var run = new Run(ledger, new Random(seed));

        for (var done = 0; done < operations; done++)
        {
            try
            {
                await run.StepAsync();
                if (done % 250 == 249)
                {
                    await run.CompareAsync();
                }
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"RENDERTRUST_SEED={seed} failed at operation {done}: {run.Last}", exception);
            }
        }

        await run.CompareAsync();
        await ledger.AssertBooksBalanceAsync();
        // Every outcome of every operation was reached, or the run proves less than it says.
        string[] all =
        [
            "topUp created", "topUp alreadyCreated", "topUp conflictingAmount",
            "place placed", "place alreadyPlaced", "place conflictingAmount", "place accountBlocked", "place insufficientCredits",
            "capture captured", "capture alreadyCaptured", "capture conflictingAmount", "capture unknownHold", "capture holdClosed", "capture exceedsHold",
            "close closed", "close alreadyClosed", "close unknownHold", "extend extended", "extend holdClosed", "extend unknownHold",
        ];
        Assert.Empty(all.Except(run.Outcomes.Keys));
        if (isLong)
        {
            Console.WriteLine($"Measured oracle: {operations} operations, seed {seed}: {string.Join(", ", run.Outcomes.OrderBy(o => o.Key).Select(o => $"{o.Key} {o.Value}"))}");
        }
    }

    private sealed class Run(LedgerDatabase ledger, Random random)
    {
        private readonly OracleLedger oracle = new();
        private readonly Guid[] tenants = [.. Enumerable.Range(0, 6).Select(_ => Guid.CreateVersion7())];
        private readonly string[] modules = [.. Enumerable.Range(0, 4).Select(i => $"oracle{i}-{Guid.CreateVersion7():N}")];
        private readonly List<(Guid Id, Guid Tenant, long Amount)> topUps = [];
        private readonly List<(Guid Id, Guid Tenant, long Amount)> holds = [];
        private readonly List<(Guid Hold, string Id, int Unit, long Ms, long Rate, long NodeRate, Guid Node, Guid Developer, string Module)> captures = [];
        private DateTimeOffset now = Start;

        public SortedDictionary<string, int> Outcomes { get; } = new(StringComparer.Ordinal);

        public string Last { get; private set; } = "";

        public Task StepAsync() => random.Next(100) switch
        {
            < 8 => TopUpAsync(),
            < 30 => PlaceAsync(),
            < 66 => CaptureAsync(),
            < 78 => CloseAsync(),
            < 84 => ExtendAsync(),
            < 87 => ExpireAsync(),
            < 90 => BlockAsync(),
            < 96 => PostAsync(),
            _ => ReleaseAsync(),
        };

        public async Task CompareAsync()
        {
            foreach (var (account, amount) in oracle.Posted)
            {
                Last = $"balance of {account}";
                // The issuance and revenue accounts are shared with nobody: this class has the database to itself.
                Assert.Equal(amount, await ledger.BalanceAsync(account));
            }

            foreach (var tenant in tenants)
            {
                Last = $"held of {tenant}";
                Assert.Equal(oracle.Held.GetValueOrDefault(tenant), await ledger.HeldAsync(tenant));
                Assert.True(oracle.Available(tenant) >= 0);
            }

            Assert.Equal(0, oracle.Posted.Values.Sum());
            var sum = await LedgerDatabase.ScalarAsync<long>(ledger.Ledger, "SELECT coalesce(sum(amount_microcredits), 0)::bigint FROM ledger_entries");
            Assert.Equal(0, sum);
        }

        private void Note<T>(string operation, string outcome, T expected, T actual)
        {
            Last = $"{operation}: expected {expected}, was {actual}";
            Outcomes[$"{operation} {outcome}"] = Outcomes.GetValueOrDefault($"{operation} {outcome}") + 1;
            Assert.Equal(expected, actual);
        }

        private async Task TopUpAsync()
        {
            var call = topUps.Count > 0 && Chance(30) ? Pick(topUps) : (Guid.CreateVersion7(), Pick(tenants), random.NextInt64(1, 40_000_000_000));
            call = Chance(10) ? call with { Item3 = call.Item3 + 1 } : call;
            topUps.Add(call);
            var actual = await ledger.TopUpAsync(call.Item1, call.Item2, call.Item3);
            Note("topUp", actual, oracle.TopUp(call.Item1, call.Item2, call.Item3), actual);
        }

        private async Task PlaceAsync()
        {
            var tenant = Pick(tenants);
            var call = holds.Count > 0 && Chance(20) ? Pick(holds) : (Guid.CreateVersion7(), tenant, random.NextInt64(1, Math.Max(2, oracle.Available(tenant) * (Chance(15) ? 3 : 1) / 4)));
            call = Chance(8) ? call with { Item3 = call.Item3 + 1 } : call;
            call = Chance(4) ? call with { Item2 = Pick(tenants) } : call;
            holds.Add(call);
            var expires = now.AddMinutes(random.Next(1, 300));
            var actual = await ledger.PlaceAsync(call.Item1, call.Item2, call.Item3, call.Item1, expires);
            Note("place", actual.Outcome, oracle.Place(call.Item1, call.Item2, call.Item3, call.Item1, expires), actual);
        }

        private async Task CaptureAsync()
        {
            (Guid Hold, string Id, int Unit, long Ms, long Rate, long NodeRate, Guid Node, Guid Developer, string Module) call;
            if (captures.Count > 0 && Chance(20))
            {
                call = Pick(captures);
                call = Chance(30) ? call with { Ms = call.Ms + 1 } : call;
                call = Chance(20) ? call with { Id = call.Id + "'" } : call;
            }
            else
            {
                var hold = holds.Count > 0 && !Chance(3) ? Chance(70) ? holds[^random.Next(1, Math.Min(holds.Count, 12) + 1)] : Pick(holds) : (Guid.CreateVersion7(), default, 1_000_000);
                var rate = random.NextInt64(0, 2_000_000_000);
                // Lengths from nothing to past the whole hold, so that holds fill up.
                var ms = rate == 0 ? random.NextInt64(0, 100_000) : (long)(hold.Item3 * random.NextDouble() * (Chance(10) ? 2 : 0.4) * 60_000 / rate);
                call = (hold.Item1, $"{hold.Item1}/{Guid.CreateVersion7()}", random.Next(0, 12), ms, rate, Chance(10) ? rate + 5 : (long)(rate * random.NextDouble()), Pick(tenants), Pick(tenants), $"{Pick(modules)}@{random.Next(3)}.0.0");
            }

            captures.Add(call);
            var actual = await ledger.CaptureAsync(call.Hold, call.Id, call.Unit, call.Ms, call.Rate, call.NodeRate, call.Node, call.Developer, call.Module);
            Note("capture", actual.Outcome, oracle.Take(call.Hold, call.Id, call.Unit, call.Ms, call.Rate, call.NodeRate, call.Node, call.Developer, call.Module), actual);
        }

        private async Task CloseAsync()
        {
            var id = SomeHold();
            var actual = await ledger.CloseAsync(id);
            Note("close", actual.Outcome, oracle.Close(id), actual);
        }

        private async Task ExtendAsync()
        {
            var (id, expires) = (SomeHold(), now.AddMinutes(random.Next(-60, 600)));
            var actual = await ledger.ExtendAsync(id, expires);
            Note("extend", actual, oracle.Extend(id, expires), actual);
        }

        private async Task ExpireAsync()
        {
            now = now.AddMinutes(random.Next(1, 40));
            Note("expire", "run", oracle.Expire(now), await ledger.ExpireAsync(now));
        }

        private async Task BlockAsync()
        {
            var (tenant, block) = (Pick(tenants), Chance(40));
            oracle.Block(tenant, block && oracle.HasAccount(tenant));
            await LedgerDatabase.ExecuteAsync(ledger.Ledger, "UPDATE accounts SET blocked = $2 WHERE account = 'creator:' || $1::uuid", tenant, block);
        }

        private async Task PostAsync()
        {
            // One batch for all: the oracle decides tiers after the whole pass.
            Note("post", "run", oracle.Post(), await LedgerDatabase.ScalarAsync<int>(ledger.Ledger, "SELECT post_captures(now(), 0, 100000)"));
            if (Chance(20))
            {
                await LedgerDatabase.ScalarAsync<long>(ledger.Ledger, "SELECT roll_up_balances()");
            }
        }

        private async Task ReleaseAsync() => Note("release", "run", oracle.Release(), await ledger.ReleaseAllAsync());

        // Mostly a recent one: most older ones have ended.
        private Guid SomeHold() => holds.Count == 0 || Chance(5) ? Guid.CreateVersion7() : Chance(60) ? holds[^random.Next(1, Math.Min(holds.Count, 12) + 1)].Id : Pick(holds).Id;

        private bool Chance(int percent) => random.Next(100) < percent;

        private T Pick<T>(IReadOnlyList<T> from) => from[random.Next(from.Count)];
    }
}
