<?php

declare(strict_types=1);

namespace Trunkline\Tests;

use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Http\Kernel as KernelContract;
use Illuminate\Foundation\Application;
use Illuminate\Foundation\Exceptions\Handler;
use Illuminate\Foundation\Http\Kernel;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Facade;
use Illuminate\Support\Facades\Route;
use PHPUnit\Framework\TestCase;
use Trunkline\Laravel\Trunkline;
use Trunkline\Laravel\TrunklineServiceProvider;

/** A real application with a route, asked by a request. */
final class LaravelTest extends TestCase
{
    private Application $app;
    private string $home;

    protected function setUp(): void
    {
        if (!class_exists(Application::class)) {
            self::markTestSkipped('no Laravel here');
        }
        $this->home = sys_get_temp_dir() . '/' . uniqid('trunkline-laravel-');
        foreach (['config', 'bootstrap/cache', 'storage/framework', 'resources/views'] as $folder) {
            mkdir("{$this->home}/{$folder}", recursive: true);
        }
        file_put_contents("{$this->home}/config/app.php", '<?php return ' . var_export($this->settings(), true) . ';');
        $this->app = new Application($this->home);
        $this->app->singleton(KernelContract::class, Kernel::class);
        $this->app->singleton(ExceptionHandler::class, Handler::class);
    }

    protected function tearDown(): void
    {
        Facade::clearResolvedInstances();
        Facade::setFacadeApplication(null);
        Application::setInstance(null);
        restore_error_handler();
        restore_exception_handler();
        exec('rm -rf ' . escapeshellarg($this->home));
    }

    public function testARouteAnswers(): void
    {
        $answer = $this->asked(fn () => ['said' => Trunkline::chat('sandbox/echo')->user('laravel')->send('Hello')->text()]);

        self::assertSame(['said' => 'Hello'], json_decode($answer, true));
    }

    public function testTheModelOfTheSettingsIsTheDefault(): void
    {
        $answer = $this->asked(fn () => Trunkline::chat()->send('3')->text(), ['TRUNKLINE_MODEL' => 'sandbox/count']);

        self::assertSame('1 2 3', $answer);
    }

    public function testARouteStreamsEvents(): void
    {
        $answer = $this->asked(fn () => Trunkline::response(Trunkline::chat('sandbox/echo'), 'Hello out there'));

        preg_match_all('/^event: message\ndata: (.*)$/m', $answer, $messages);
        $said = implode('', array_map(fn (string $data) => json_decode($data, true)['text'], $messages[1]));
        self::assertSame('Hello out there', $said);
        self::assertMatchesRegularExpression('/event: done\ndata: \{.*\}\n\n$/', $answer);
    }

    public function testAStreamThatFailsTellsTheReason(): void
    {
        $answer = $this->asked(fn () => Trunkline::response(Trunkline::chat('sandbox/nothing'), 'Hello'));

        self::assertStringStartsWith("event: error\ndata: {\"reason\":\"MODEL_NOT_FOUND\"", $answer);
    }

    public function testCredits(): void
    {
        $answer = $this->asked(fn () => Trunkline::credits('newcomer'));

        self::assertSame('100000000000', json_decode($answer, true)['balance']['nanos']);
    }

    /** What a route with this action answers. */
    private function asked(callable $action, array $environment = []): string
    {
        foreach ($environment as $name => $value) {
            $_SERVER[$name] = $value;
        }
        $this->app->booted(fn () => Route::get('/', $action));
        $kernel = $this->app->make(KernelContract::class);
        $output = '';
        ob_start(function (string $piece) use (&$output): string {
            $output .= $piece;

            return '';
        });
        $response = $kernel->handle($request = Request::create('/'));
        $response->sendContent();
        ob_end_flush();
        $kernel->terminate($request, $response);
        foreach (array_keys($environment) as $name) {
            unset($_SERVER[$name]);
        }
        self::assertSame(200, $response->getStatusCode(), $output);

        return $output;
    }

    private function settings(): array
    {
        return [
            'env' => 'testing',
            'debug' => true,
            'key' => str_repeat('k', 32),
            'cipher' => 'AES-256-CBC',
            'locale' => 'en',
            'timezone' => 'UTC',
            'providers' => [
                \Illuminate\Filesystem\FilesystemServiceProvider::class,
                \Illuminate\View\ViewServiceProvider::class,
                TrunklineServiceProvider::class,
            ],
            'aliases' => [],
        ];
    }
}
