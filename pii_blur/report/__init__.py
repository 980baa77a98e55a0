"""How an OUTPUT stands, as one HTML page. Knows counts only: no photos, no names, no coordinates."""
