using RenderTrust.Identity;

var builder = WebApplication.CreateBuilder(args);
await using var app = IdentityService.Build(builder);
await app.RunAsync();
