<?php

declare(strict_types=1);

namespace Trunkline\Tests;

use Illuminate\Container\Container;
use Illuminate\Support\Facades\Facade;
use PHPUnit\Framework\TestCase;
use Trunkline\Laravel\Gateway;

/** The examples of the pages for those who come from other packages say what the pages say. */
final class PagesTest extends TestCase
{
    private const USES = 'use Trunkline\Laravel\Trunkline; use Illuminate\Support\Facades\Http;';

    protected function setUp(): void
    {
        if (!class_exists(Container::class)) {
            self::markTestSkipped('no Laravel here');
        }
        $app = new Container();
        $app->instance(Gateway::class, new Gateway(['url' => getenv('TRUNKLINE_URL'), 'key' => getenv('TRUNKLINE_API_KEY')]));
        Facade::setFacadeApplication($app);
    }

    protected function tearDown(): void
    {
        Facade::clearResolvedInstances();
        Facade::setFacadeApplication(null);
    }

    /** @dataProvider pages */
    public function testTheExamplesSayWhatThePageSays(string $page): void
    {
        preg_match_all('/^```php\n(.*?)^```$/ms', file_get_contents($page), $blocks);
        self::assertNotEmpty($blocks[1]);
        foreach (array_filter($blocks[1], self::runsHere(...)) as $block) {
            preg_match_all('~^\s*echo .*; // (.+)$~m', $block, $claims);
            $said = self::said($block);
            foreach ($claims[1] as $claim) {
                self::assertStringContainsString($claim, $said);
                $said = substr($said, strpos($said, $claim) + strlen($claim));
            }
        }
    }

    public static function pages(): iterable
    {
        foreach (glob(__DIR__ . '/../../../docs/migrating/laravel*.md') ?: [] as $page) {
            yield basename($page) => [$page];
        }
    }

    /** Laravel's own client needs Guzzle, which the system's framework may be without. */
    private static function runsHere(string $block): bool
    {
        return !str_contains($block, 'Http::') || class_exists(\GuzzleHttp\Client::class);
    }

    private static function said(string $block): string
    {
        ob_start();
        try {
            eval(self::USES . $block);
        } finally {
            $said = ob_get_clean();
        }

        return $said;
    }
}
